"""The lines that the gateway says by itself, spoken once for each bot and rate, and kept.

They are made ahead, through the mesh, by the voice that the bot has; whatever happens to that, no
call waits for it. A line that could not be spoken is tried again, now and then, for as long as the
gateway runs.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import numpy as np

from gateway.holding import Lines
from voicemesh import telemetry
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import synthesis_pb2, synthesis_pb2_grpc
from voicemesh.channel import open_channel
from voicemesh.errors import VoicemeshError
from voicemesh.residency import RESIDENCY_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicemesh.audio import Samples
    from voicemesh.bots import Bot, SynthesisChoice
    from voicemesh.tls import Trust

MAX_KEPT = 64
"""Bots and rates whose lines are kept; of those beyond, the ones longest not asked for go."""
MAX_LINE_SECONDS = 20
"""A line that is longer is cut."""
SPEAK_SECONDS = 10.0
"""How long a voice may take for one line."""
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 30.0

_log = telemetry.get_logger("spoken")


@dataclass(frozen=True, slots=True)
class _Way:
    """How a voice is reached."""

    channel: grpc.aio.Channel
    zone: str


class SpokenLines:
    """Has lines spoken and keeps them; belongs to one event loop."""

    def __init__(
        self,
        mesh: str,
        trust: Trust | None = None,
        *,
        zone: Callable[[], str] = str,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        """``zone`` tells the residency zone that lines are spoken in; empty: there is none."""
        self._zone = zone
        self._mesh = mesh
        self._trust = trust
        self._pause = pause_seconds
        self._kept: OrderedDict[tuple[str, int], Lines] = OrderedDict()
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def lines(self, bot: Bot, rate: int) -> Lines:
        """Return a bot's lines, which fill when they have been spoken."""
        key = (bot.digest, rate)
        if key not in self._kept:
            self._kept[key] = Lines()
            self._tasks[key] = asyncio.create_task(self._fill(self._kept[key], bot, rate))
            self._tasks[key].add_done_callback(lambda _: self._tasks.pop(key, None))
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            oldest, _ = self._kept.popitem(last=False)
            if oldest in self._tasks:
                self._tasks[oldest].cancel()
        return self._kept[key]

    async def settled(self) -> None:
        """Wait until every line that was asked for so far has been spoken."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        """Stop trying."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fill(self, lines: Lines, bot: Bot, rate: int) -> None:
        pause = self._pause
        while not await self._try(lines, bot, rate):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def _try(self, lines: Lines, bot: Bot, rate: int) -> bool:
        """Speak what is missing; return whether nothing is any more."""
        try:
            async with open_channel(self._mesh, trust=self._trust) as channel:
                way = _Way(channel, self._zone())
                if lines.holding is None and bot.holding_line:
                    lines.holding = await _speak(way, bot, bot.holding_line, rate)
                if lines.apology is None and bot.fallback.line:
                    lines.apology = await _speak(way, bot, bot.fallback.line, rate)
        except (grpc.aio.AioRpcError, VoicemeshError, TimeoutError) as error:
            problem = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            _log.warning("a line was not spoken", bot=bot.name, problem=problem or "no answer")
            return False
        return True


async def _speak(way: _Way, bot: Bot, text: str, rate: int) -> Samples:
    """Return a line as the first of the bot's voices speaks it that can."""
    choices: Sequence[SynthesisChoice] = bot.engines.tts
    for choice in choices[:-1]:
        try:
            return await _speak_with(way, bot, choice, text, rate)
        except (grpc.aio.AioRpcError, VoicemeshError, TimeoutError):
            continue
    return await _speak_with(way, bot, choices[-1], text, rate)


async def _speak_with(
    way: _Way, bot: Bot, choice: SynthesisChoice, text: str, rate: int
) -> Samples:
    stub: synthesis_pb2_grpc.SynthesisServiceStub = synthesis_pb2_grpc.SynthesisServiceStub(
        way.channel
    )
    config = synthesis_pb2.SynthesisConfig(
        engine=choice.name,
        format=audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=rate),
        voice=choice.voice or bot.voice,
        language=bot.language,
    )
    sentence = synthesis_pb2.Sentence(sentence=0, text=text)
    call = stub.Synthesize(
        iter(
            (
                synthesis_pb2.SynthesizeRequest(config=config),
                synthesis_pb2.SynthesizeRequest(sentence=sentence),
            )
        ),
        metadata=((RESIDENCY_HEADER, way.zone),) if way.zone else (),
    )
    sound = bytearray()
    async with asyncio.timeout(SPEAK_SECONDS):
        async for response in call:
            sound += response.audio.data
    if not sound:
        raise VoicemeshError(f"engine {choice.name} made no sound", reason="NO_AUDIO")
    del sound[2 * MAX_LINE_SECONDS * rate :]
    return np.frombuffer(bytes(sound), "<i2").astype(np.int16, copy=False)
