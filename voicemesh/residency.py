"""Where a call may be: the metadata by which every hop of it knows.

Set by the edge for our own processes and removed from what callers send, so it can be believed.
"""

from __future__ import annotations

RESIDENCY_HEADER = "x-voicemesh-residency"
"""Zone that the call must not leave. The mesh refuses a stream that has none it knows."""
TENANT_HEADER = "x-voicemesh-tenant"
"""Whose caller it is, from a verified token or key; absent where there was none."""
EDGE_HEADER = "x-voicemesh-edge"
"""Edge that let the caller in, ``region/edge-0``."""
ATTEMPT_HEADER = "x-voicemesh-attempt"
"""How often a stream was tried; from the third time on the order of regions is reversed."""
REPLICA_HEADER = "x-voicemesh-replica"
"""In an answer: who serves the stream, ``region/replica``."""
