from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc.aio
import numpy as np

from gateway.spoken import MAX_KEPT, MAX_LINE_SECONDS, SpokenLines
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.speech.v1 import synthesis_pb2, synthesis_pb2_grpc
from voicemesh.bots import Bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicemesh.errors import Context

RATE = 8000
BOT = Bot.model_validate(
    {
        "name": "desk",
        "voice": "anna",
        "language": "de",
        "holding_line": "hold",
        "fallback": {"line": "sorry"},
        "engines": {"tts": ["first", {"name": "second", "voice": "bert"}]},
    }
)


class Voice(synthesis_pb2_grpc.SynthesisServiceServicer):
    """Makes ten samples of each character; fails as told."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        """Engines that fail, one request each."""
        self.configs: list[synthesis_pb2.SynthesisConfig] = []
        self.count = 10

    async def Synthesize(  # type: ignore[override] # noqa: N802
        self, request_iterator: object, context: Context
    ) -> None:
        config = (await context.read()).config
        self.configs.append(config)
        if config.engine in self.failures:
            self.failures.remove(config.engine)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        text = (await context.read()).sentence.text
        assert not isinstance(await context.read(), synthesis_pb2.SynthesizeRequest)
        response = synthesis_pb2.SynthesizeResponse
        await context.write(response(accepted=synthesis_pb2.SynthesisAccepted()))
        for offset, letter in enumerate(text):
            data = np.full(self.count, ord(letter), "<i2").tobytes()
            chunk = audio_pb2.AudioChunk(offset=offset * self.count, data=data)
            await context.write(response(audio=chunk))


def sound(text: str) -> list[int]:
    return [ord(letter) for letter in text for _ in range(10)]


@asynccontextmanager
async def spoken() -> AsyncIterator[tuple[SpokenLines, Voice]]:
    server, voice = grpc.aio.server(), Voice()
    synthesis_pb2_grpc.add_SynthesisServiceServicer_to_server(voice, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    here = SpokenLines(f"127.0.0.1:{port}", pause_seconds=0.01)
    try:
        yield here, voice
    finally:
        await here.close()
        await server.stop(None)


async def test_lines_are_spoken_once_in_the_bots_own_voice() -> None:
    async with spoken() as (here, voice):
        lines = here.lines(BOT, RATE)
        assert lines.holding is None
        await here.settled()
        assert lines.holding is not None
        assert lines.apology is not None
        assert (lines.holding.tolist(), lines.apology.tolist()) == (sound("hold"), sound("sorry"))
        assert here.lines(BOT, RATE) is lines
        config = voice.configs[0]
        assert (config.engine, config.voice, config.language) == ("first", "anna", "de")
        assert len(voice.configs) == 2
        other = here.lines(BOT, 16000)
        assert other is not lines
        await here.settled()
        assert voice.configs[-1].format.sample_rate_hertz == 16000


async def test_the_next_voice_is_tried_and_then_all_of_them_again() -> None:
    async with spoken() as (here, voice):
        voice.failures = ["first", "second", "first", "second", "first"]
        here.lines(BOT, RATE)
        await here.settled()
        engines = [config.engine for config in voice.configs]
        assert engines == ["first", "second", "first", "second", "first", "second", "first"]
        assert voice.configs[1].voice == "bert"


async def test_empty_lines_are_not_spoken() -> None:
    async with spoken() as (here, voice):
        bot = BOT.model_copy(update={"holding_line": "", "name": "quiet"})
        lines = here.lines(Bot.model_validate(bot.model_dump()), RATE)
        await here.settled()
        assert lines.holding is None
        assert len(voice.configs) == 1


async def test_a_line_has_an_end() -> None:
    async with spoken() as (here, voice):
        voice.count = 5 * RATE
        lines = here.lines(BOT, RATE)
        await here.settled()
        assert lines.apology is not None
        assert lines.apology.size == MAX_LINE_SECONDS * RATE


async def test_no_more_than_so_many_are_kept() -> None:
    async with spoken() as (here, _):
        bots = [
            Bot.model_validate({"name": f"b{number}", "engines": {"tts": ["x"]}})
            for number in range(MAX_KEPT + 1)
        ]
        first = here.lines(bots[0], RATE)
        for bot in bots[1:]:
            here.lines(bot, RATE)
        assert here.lines(bots[0], RATE) is not first
        assert here.lines(bots[-1], RATE) is here.lines(bots[-1], RATE)


async def test_what_is_not_spoken_yet_keeps_nobody() -> None:
    here = SpokenLines("127.0.0.1:1", pause_seconds=60)
    assert here.lines(BOT, RATE).holding is None
    await here.close()
