"""Engines that need no network keep what the protos promise; one that does not is found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from adapters.config import AdapterSettings
from adapters.service import build
from tests.adapters.clips import CLIPS
from voicemesh.api.speech.v1 import synthesis_pb2, synthesis_pb2_grpc
from voicemesh.audio import read_wav
from voicemesh.conform.run import Wish, checks, judge
from voicemesh.server import LiveStreams, serving

if TYPE_CHECKING:
    import grpc.aio

    from voicemesh.conform.check import Finding
    from voicemesh.errors import Context

BOTS = "bots"


async def judged(
    sense: Literal["stt", "llm", "tts"], engine: str, speech: bytes = b""
) -> list[Finding]:
    settings = AdapterSettings.model_validate(
        {"sense": sense, "engines": engine, "stt_waiting": 100, "bots": BOTS}
    )
    async with serving(build(settings), settings) as address:
        wish = Wish(sense, address, engine, speech=speech, seconds=60.0)
        return [finding async for finding in judge(wish)]


def kept(found: list[Finding]) -> None:
    broken = [f"{one.topic}: {one.about}: {one.problem}" for one in found if not one.holds]
    assert not broken, "\n".join(broken)


@pytest.mark.slow
@pytest.mark.parametrize("sense", ["stt", "llm", "tts"])
async def test_scripted_engines(sense: Literal["stt", "llm", "tts"]) -> None:
    found = await judged(sense, "scripted")
    kept(found)
    assert len(found) == len(checks(sense))


class Hasty(synthesis_pb2_grpc.SynthesisServiceServicer):
    """Speaks nothing, says twice that it will, and ends well."""

    names = ("voicemesh.api.speech.v1.SynthesisService",)

    def __init__(self) -> None:
        self.live = LiveStreams(10)

    def register(self, server: grpc.aio.Server) -> None:
        synthesis_pb2_grpc.add_SynthesisServiceServicer_to_server(self, server)

    async def Synthesize(  # type: ignore[override]  # noqa: N802
        self, request_iterator: object, context: Context
    ) -> None:
        accepted = synthesis_pb2.SynthesisAccepted(replica="hasty-1")
        for _ in range(2):
            await context.write(synthesis_pb2.SynthesizeResponse(accepted=accepted))

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None: ...


async def test_one_that_breaks_its_promises_is_found_out() -> None:
    async with serving(Hasty(), AdapterSettings()) as address:
        wish = Wish("tts", address, seconds=2.0)
        found = {one.about: one.problem async for one in judge(wish)}
    problems = list(found.values())
    assert problems[0] == "`accepted` where a sentence was due"
    assert sum(not problem for problem in problems) <= 2
    assert (
        "instead of INVALID_ARGUMENT" in found["an empty sentence: INVALID_ARGUMENT, naming `text`"]
    )


@pytest.mark.slow
async def test_whisper() -> None:
    pytest.importorskip("ctranslate2")
    clip = min(CLIPS, key=lambda clip: clip.path.stat().st_size)
    _, samples = read_wav(clip.path)
    kept(await judged("stt", "whisper", samples[: 3 * 16000].astype("<i2").tobytes()))


@pytest.mark.slow
async def test_hibari() -> None:
    kept(await judged("tts", "hibari"))


@pytest.mark.slow
async def test_retrieval() -> None:
    kept(await judged("llm", "retrieval"))
