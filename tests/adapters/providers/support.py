"""What tests of providers share: recorded speech, and utterances put together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.recognition import RecognitionRequest
from tests.adapters.clips import CLIPS, Clip
from voicemesh.audio import Resampler, read_wav

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.recognition import Heard, Recognition
    from voicemesh.audio import Samples

CLIP = next(clip for clip in CLIPS if clip.name == "joe_s25_16k.wav")


def speech(clip: Clip = CLIP, rate: int = 16000) -> Samples:
    """Return recorded speech at this rate."""
    own, samples = read_wav(clip.path)
    resampler = Resampler(own, rate)
    import numpy as np

    return np.concatenate((resampler.feed(samples), resampler.flush()))


def as_bytes(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()


def fed(recognition: Recognition, samples: Samples, piece: int = 320) -> None:
    for start in range(0, samples.size, piece):
        recognition.feed(samples[start : start + piece])


@dataclass(frozen=True)
class Told:
    """All that was told of an utterance."""

    changing: tuple[str, ...]
    final: tuple[tuple[str, int], ...]


async def told(recognition: Recognition) -> Told:
    """Fetch all transcripts to the end."""
    heard: list[Heard] = []
    while (next_ := await recognition.next()) is not None:
        heard.append(next_)
    return Told(
        tuple(one.text for one in heard if not one.final),
        tuple((one.text, one.samples) for one in heard if one.final),
    )


@asynccontextmanager
async def started(engine: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - an engine of any sense
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


@asynccontextmanager
async def hearing(engine: Any, **request: Any) -> AsyncIterator[Recognition]:  # noqa: ANN401
    """Begin an utterance with changing transcripts."""
    chosen = RecognitionRequest(**{"rate": 16000, "partials": True, **request})
    recognition = engine.recognize(chosen)
    try:
        yield recognition
    finally:
        recognition.close()
