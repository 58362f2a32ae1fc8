"""The session link of one call: the state machine's shell.

It opens streams as `link_state` says, passes on what the current one brings, and drops what ghosts
send. It has no timer: whoever ticks the call ticks its link.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

from gateway import convert, events as on, link_state as state
from gateway.hops import Hops
from gateway.stream import fatal, full
from voicemesh import telemetry
from voicemesh.api.session.v1 import session_pb2
from voicemesh.audio import Chunk
from voicemesh.errors import InvalidInput, VoicemeshError
from voicemesh.residency import ATTEMPT_HEADER, RESIDENCY_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio

    from gateway.call import Standing
    from gateway.reports import PlayoutReport, Report
    from gateway.stream import StreamUser

_log = telemetry.get_logger("link")


class OpenStream(Protocol):
    """A stream to an orchestrator: `gateway.stream.Stream`."""

    number: int

    def send(self, request: session_pb2.RunRequest) -> bool:
        """Have a message written; return False if too many wait."""

    def half_close(self) -> None:
        """Say that nothing more will come."""

    def cancel(self) -> None:
        """Let go at once; nothing is told any more."""


class Streams(Protocol):
    """Where streams are opened: `gateway.pool.ChannelPool`."""

    def stream(
        self,
        lane: int,
        number: int,
        metadata: tuple[tuple[str, str], ...],
        first: session_pb2.RunRequest,
        user: StreamUser,
    ) -> OpenStream:
        """Open one."""


class LinkUser(Protocol):
    """The call behind a link."""

    def standing(self) -> Standing:
        """Return where the call stands now."""

    def next_sequence(self) -> int:
        """Return the number of the journal's next entry now."""

    def linked(self, event: on.LinkEvent) -> None:
        """Take an event; raise where it is against the contract."""


class Link:
    """One call's way to an orchestrator."""

    def __init__(
        self,
        facts: convert.CallFacts,
        pool: Streams,
        user: LinkUser,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        hops: Hops | None = None,
    ) -> None:
        self._facts = facts
        self._pool = pool
        self._user = user
        self._clock = clock
        self._state = state.LinkState(jitter, facts.last_epoch)
        self._hops = Hops() if hops is None else hops
        self._streams: dict[int, OpenStream] = {}
        self._known: dict[int, int] = {}
        self._first_lane = zlib.crc32(facts.call_id.encode())

    @property
    def due(self) -> float:
        """When `tick` is to be called; infinity if time alone changes nothing."""
        return self._state.due

    @property
    def leaving(self) -> bool:
        """Whether it closes by itself, because the other side said goodbye."""
        return self._state.phase is state.LinkPhase.CLOSED

    @property
    def over(self) -> bool:
        """Whether every stream has ended."""
        return self.leaving and not self._streams

    def open(self) -> None:
        """Begin to look for an orchestrator."""
        self._handle(state.Started())

    def send(self, message: Chunk | Report | PlayoutReport) -> None:
        """Send on the current stream; the call sends nothing while there is none."""
        stream = self._streams.get(self._state.current)
        if stream is None:
            return
        if not stream.send(convert.request_from(message)):
            self._break(stream.number, "it takes no more messages")
        elif isinstance(message, Chunk):
            self._handle(state.AudioSent(message.end))

    def tick(self, pause: bool, late: float = 0.0) -> None:
        """Let time pass; `pause` says whether a change of orchestrators would disturb nothing.

        `late`: for how long this process could hear nobody before, seconds.
        """
        if late:
            self._handle(state.Ticked(pause, late))
        else:
            self._handle(_PAUSE if pause else _TICK)

    def close(self) -> None:
        """Let go of every stream."""
        self._handle(state.Closed())

    # What the streams bring.

    def came(self, stream: int, response: session_pb2.RunResponse) -> None:
        kind = response.WhichOneof("message") or ""
        handler = _HANDLERS.get(kind, Link._pass_on)
        try:
            handler(self, stream, kind, response)
        except VoicemeshError as error:
            self._break(stream, error.message)

    def ended(self, stream: int, error: grpc.aio.AioRpcError | None) -> None:
        self._streams.pop(stream, None)
        self._handle(state.StreamEnded(stream, fatal(error), full(error)))

    def _ready(self, stream: int, _kind: str, response: session_pb2.RunResponse) -> None:
        stale = self._known.get(stream) != self._user.next_sequence()
        self._handle(state.ReadyCame(stream, stale))
        if self._state.current == stream:
            ready = response.ready
            if ready.epoch > 1:
                call_id, epoch, replica = self._facts.call_id, ready.epoch, ready.replica
                _log.info("session stands again", call_id=call_id, epoch=epoch, replica=replica)
            self._hops.took("orchestrator", ready.region, ready.replica)
            self._user.linked(on.LinkReady(ready.wanted_offset))

    def _batch(self, stream: int, _kind: str, response: session_pb2.RunResponse) -> None:
        for each in response.batch.responses:
            if each.HasField("batch"):
                raise InvalidInput("batch", "must hold no other")
            self.came(stream, each)

    def _go_away(self, stream: int, _kind: str, response: session_pb2.RunResponse) -> None:
        deadline = response.go_away.deadline
        self._handle(state.GoAwayCame(stream, deadline.seconds + deadline.nanos / 1e9))

    def _bye(self, stream: int, _kind: str, response: session_pb2.RunResponse) -> None:
        reason = response.bye.reason
        current = stream == self._state.current
        superseded = reason == session_pb2.BYE_REASON_SUPERSEDED
        self._handle(state.ByeCame(stream, superseded))
        if current and not superseded:
            self._user.linked(on.ByeSaid())

    def _hop(self, stream: int, _kind: str, response: session_pb2.RunResponse) -> None:
        if stream == self._state.current:
            hop = response.hop
            self._hops.took(hop.service, hop.region, hop.replica)

    def _pass_on(self, stream: int, kind: str, response: session_pb2.RunResponse) -> None:
        if stream != self._state.current:
            return
        if kind == "ack":
            self._handle(state.AudioReceived(response.ack.received_offset))
        event = convert.event_from(kind, response)
        if event is not None:
            self._user.linked(event)

    def _break(self, stream: int, problem: str) -> None:
        """Treat a stream as broken that is against the contract, and open another."""
        _log.warning("stream broken off", call_id=self._facts.call_id, problem=problem)
        self._drop(stream)
        self._handle(state.StreamEnded(stream))

    # What the state machine wants.

    def _handle(self, event: state.Event) -> None:
        for command in self._state.handle(event, self._clock()):
            match command:
                case state.Dial():
                    self._dial(command)
                case state.Drop(stream):
                    self._drop(stream)
                case state.HalfClose(stream):
                    self._half_close(stream)
                case state.Lose():
                    _log.info("session lost", call_id=self._facts.call_id, cause=_cause(event))
                    self._user.linked(on.LinkLost())
                case state.GiveUp(error):
                    self._user.linked(on.LinkFailed(error))

    def _dial(self, dial: state.Dial) -> None:
        standing = self._user.standing()
        metadata = (
            ("x-voicemesh-call", self._facts.call_id),
            *(((RESIDENCY_HEADER, self._facts.residency),) if self._facts.residency else ()),
            ("x-voicemesh-epoch", str(dial.epoch)),
            (ATTEMPT_HEADER, str(dial.attempt)),
        )
        self._known[dial.stream] = standing.next_sequence
        self._streams[dial.stream] = self._pool.stream(
            # Each epoch and each attempt goes by another lane than the one before.
            self._first_lane + dial.epoch + dial.attempt,
            dial.stream,
            metadata,
            convert.open_request(self._facts, standing, dial.epoch, dial.attempt),
            self,
        )

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        self._known.pop(number, None)
        if stream is not None:
            stream.cancel()

    def _half_close(self, number: int) -> None:
        if number in self._streams:
            self._streams[number].half_close()


def _cause(event: state.Event) -> str:
    """Return why a session was lost, for the log."""
    return "not received" if isinstance(event, state.Ticked) else type(event).__name__


_TICK, _PAUSE = state.Ticked(), state.Ticked(pause=True)

_HANDLERS: dict[str, Callable[[Link, int, str, session_pb2.RunResponse], None]] = {
    "ready": Link._ready,
    "go_away": Link._go_away,
    "bye": Link._bye,
    "batch": Link._batch,
    "hop": Link._hop,
}
