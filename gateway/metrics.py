"""What a gateway counts, besides what every process does."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

TICK_SECONDS = Histogram(
    "voicemesh_gateway_tick_seconds",
    "Time that one tick over all calls took",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03, 0.05),
)
TICK_LATE_SECONDS = Histogram(
    "voicemesh_gateway_tick_late_seconds",
    "How much later than due a tick began",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.3),
)
CALLS_ENDED = Counter("voicemesh_gateway_calls_ended", "Calls that ended", ["reason"])
SESSIONS_LOST = Counter("voicemesh_gateway_sessions_lost", "Sessions that broke under a call")
SAMPLES_DROPPED = Counter(
    "voicemesh_gateway_samples_dropped",
    "Caller samples forgotten before they were committed",
)
EVENTS_TAKEN_OUT = Counter(
    "voicemesh_gateway_events_taken_out",
    "Utterances and events that no orchestrator survived, and that were taken out of a call",
)
RECORDS_LOST = Counter(
    "voicemesh_gateway_records_lost", "Finished calls whose file was not written"
)
SAMPLES_REFUSED = Counter(
    "voicemesh_gateway_samples_refused", "Bot samples for which a playout buffer had no room"
)
CALLS_RESUMED = Counter(
    "voicemesh_gateway_calls_resumed", "Calls taken up from what their caller held"
)
RESUMES_REFUSED = Counter(
    "voicemesh_gateway_resumes_refused", "Calls that could not be taken up with what was sent"
)
SEALED_BYTES = Counter(
    "voicemesh_gateway_sealed_bytes", "Bytes of calls' memories given to their callers"
)
MEMORIES_TOO_LONG = Counter(
    "voicemesh_gateway_memories_too_long", "Calls whose memory became too long to be resumed"
)
CARRIER_SOCKETS_REFUSED = Counter(
    "voicemesh_gateway_carrier_sockets_refused",
    "Carriers' sockets that were refused or closed over an error",
    ["carrier", "reason"],
)
CARRIER_WEBHOOKS_REFUSED = Counter(
    "voicemesh_gateway_carrier_webhooks_refused",
    "Carriers' webhooks that were refused",
    ["carrier", "reason"],
)
CARRIER_CANNOT = Counter(
    "voicemesh_gateway_carrier_cannot",
    "Wishes of bots that a carrier's socket cannot carry out",
    ["carrier", "wish"],
)
RECORDING_PIECES_LOST = Counter(
    "voicemesh_gateway_recording_pieces_lost", "Pieces of recordings that were not written"
)
WATCHERS_CUT_OFF = Counter(
    "voicemesh_gateway_watchers_cut_off", "Watchers of calls who did not read in time"
)
WEBHOOKS_SENT = Counter("voicemesh_gateway_webhooks_sent", "Events that the receiver has taken")
WEBHOOKS_FAILED = Counter(
    "voicemesh_gateway_webhooks_failed", "Attempts to send an event that failed"
)
WEBHOOKS_LOST = Counter(
    "voicemesh_gateway_webhooks_lost", "Events that no receiver will ever get", ["reason"]
)
