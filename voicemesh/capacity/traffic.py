"""Bytes on the wire: of a caller's leg, and of each hop inside.

Counted are payload, message, framing (WebSocket or HTTP/2, TLS where the hop has it) and the
headers of TCP or UDP and IPv4, once each 20 ms of a leg and each 100 ms inside; acknowledgements
travel on other packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.capacity.prices import Conversation

FRAMES = 50
"""A second, of a leg."""
MULAW_FRAME = 160
TCP = 52
"""IPv4 (20), TCP (20) and its timestamps (12)."""
TLS = 22
"""Header and authentication tag of one record."""
RTP = 40
"""IPv4 (20), UDP (8) and RTP (12)."""
HTTP2 = 9 + 5
"""A DATA frame's header, and that of the gRPC message in it."""
AUDIO = 2 * 8000
"""Bytes a second of 8 kHz linear PCM, as the mesh carries it."""
INSIDE = 10 * (TCP + TLS + HTTP2 + 16)
"""Bytes a second around audio that is sent each 100 ms."""
TURN_BYTES = 6000
"""Text of one turn: prompt and history to the model, tokens and transcripts back."""


@dataclass(frozen=True, slots=True)
class Leg:
    """How a caller's audio travels."""

    up: int
    """Bytes a second from the caller, who never stops sending."""
    down: int
    """Bytes a second to the caller, while the bot speaks or always."""
    always: bool = False
    """Whether silence is sent to the caller, too."""

    def to_caller(self, talk: Conversation) -> float:
        """Return bytes a second to the caller, on average."""
        return self.down * (1.0 if self.always else talk.bot_speaks)


_BASE64 = -(-MULAW_FRAME // 3) * 4
_JSON_UP = 170
"""Of Twilio's media message, all but the payload."""
_JSON_DOWN = 92

LEGS: Mapping[str, Leg] = {
    "twilio": Leg(
        FRAMES * (_BASE64 + _JSON_UP + 8 + TLS + TCP),
        FRAMES * (_BASE64 + _JSON_DOWN + 4 + TLS + TCP),
    ),
    "grpc": Leg(
        FRAMES * (MULAW_FRAME + 12 + HTTP2 + TLS + TCP),
        FRAMES * (MULAW_FRAME + 12 + HTTP2 + TLS + TCP),
    ),
    "sip": Leg(FRAMES * (MULAW_FRAME + RTP), FRAMES * (MULAW_FRAME + RTP), always=True),
}
"""By name: mu-law of 8 kHz in Twilio's JSON over WebSocket, in gRPC, and in RTP."""


def leg(name: str) -> Leg:
    """Return a leg; raise InvalidInput naming those that exist."""
    if name not in LEGS:
        raise InvalidInput("--leg", f"there is no {name!r}, only {', '.join(LEGS)}")
    return LEGS[name]


def hops(talk: Conversation) -> dict[str, float]:
    """Return bytes a second of a call on each hop inside, both ways; each passes one Envoy."""
    caller = (AUDIO + INSIDE) * talk.caller_speaks
    bot = (AUDIO + INSIDE) * talk.bot_speaks
    words = TURN_BYTES * talk.turns_a_minute / 60
    return {
        "gateway - orchestrator": caller + bot,
        "orchestrator - stt": caller,
        "orchestrator - llm": words,
        "orchestrator - tts": bot + words / 10,
    }
