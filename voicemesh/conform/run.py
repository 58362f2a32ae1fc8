"""Judges one target: which checks there are for a sense, and what they are given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from voicemesh.api.language.v1 import language_pb2
from voicemesh.api.speech.v1 import recognition_pb2, synthesis_pb2
from voicemesh.audio import tonetext
from voicemesh.conform import bot, llm, stt, tts
from voicemesh.conform.check import findings
from voicemesh.conform.going import going, health
from voicemesh.conform.talk import Subject
from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from voicemesh.conform.check import Check, Finding

BOT = "bot"
WORDS = "one two three four five six"
_MOST_MESSAGE = 4 << 20


@dataclass(frozen=True)
class Wish:
    """What is to be judged."""

    sense: str
    target: str
    """gRPC target, such as 127.0.0.1:7001."""
    engine: str = "scripted"
    """Name of the engine, or of the bot whose brain it is."""
    rate: int = 16000
    language: str = "en"
    seconds: float = 20.0
    """How long any one answer may take."""
    speech: bytes = b""
    """LINEAR16 that recognisers get; empty: a synthetic voice."""
    pid: int = 0
    """Process to be told to stop at the end; 0: none."""
    secret: str = ""
    """What a brain knows orchestrators by; empty: nothing."""


_SENSES: dict[str, tuple[str, Sequence[Check]]] = {
    "stt": (
        recognition_pb2.DESCRIPTOR.services_by_name["RecognitionService"].full_name,
        stt.CHECKS,
    ),
    "llm": (language_pb2.DESCRIPTOR.services_by_name["GenerationService"].full_name, llm.CHECKS),
    "tts": (synthesis_pb2.DESCRIPTOR.services_by_name["SynthesisService"].full_name, tts.CHECKS),
}


def checks(sense: str, pid: int = 0) -> Sequence[Check]:
    """Return the table for a sense; with a process, also how it goes."""
    if sense == BOT:
        # Orchestrators ask a brain directly: there is no Envoy between, and no health to be asked.
        return bot.CHECKS
    service, table = _SENSES[sense]
    found = [*table, health(service)]
    return [*found, going(pid, table[0].run, service)] if pid else found


async def judge(wish: Wish) -> AsyncIterator[Finding]:
    """Run all checks of a sense; raise Unavailable if nobody listens there."""
    options = [("grpc.max_receive_message_length", _MOST_MESSAGE)]
    async with grpc.aio.insecure_channel(wish.target, options=options) as channel:
        try:
            async with asyncio.timeout(wish.seconds):
                await channel.channel_ready()
        except TimeoutError:
            raise Unavailable(
                f"nobody answers at {wish.target} within {wish.seconds:g} s", target=wish.target
            ) from None
        speech = wish.speech or tonetext.encode(WORDS, wish.rate).astype("<i2").tobytes()
        subject = Subject(
            channel, wish.engine, wish.rate, wish.language, wish.seconds, speech, wish.secret
        )
        async for finding in findings(subject, checks(wish.sense, wish.pid)):
            yield finding
