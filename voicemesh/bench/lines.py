"""Every way in which the load generator's callers come: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.bench.legs import GrpcLine
from voicemesh.bench.twilio import TwilioLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicemesh.bench.legs import Line

LINES: Mapping[str, Callable[[str, str, int], Line]] = {
    "grpc": GrpcLine,
    "twilio": TwilioLine,
}
"""By name, as in `voicemesh bench --leg NAME`; target, bot and number of calls in, a line out."""
