"""The embedded engines with their real weights."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from adapters.config import AdapterSettings
from adapters.recognition import RecognitionRequest
from adapters.stt import weights
from adapters.stt.whisper import WhisperEngine
from adapters.synthesis import SynthesisRequest
from adapters.tts.hibari import HibariEngine
from tests.adapters.clips import CLIPS, Clip
from voicemesh.audio import Resampler, Samples, decode_mulaw, encode_mulaw, read_wav
from voicemesh.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.recognition import Recognition

pytestmark = [pytest.mark.models, pytest.mark.slow]


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()


def errors(said: list[str], heard: list[str]) -> int:
    """Return the Levenshtein distance in words."""
    row = list(range(len(heard) + 1))
    for count, word in enumerate(said, 1):
        diagonal, row[0] = row[0], count
        for place, other in enumerate(heard, 1):
            best = min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other))
            diagonal, row[place] = row[place], best
    return row[-1]


def telephone(samples: Samples) -> Samples:
    resampler = Resampler(16000, 8000)
    narrow = np.concatenate((resampler.feed(samples), resampler.flush()))
    return decode_mulaw(encode_mulaw(narrow))


async def final(recognition: Recognition, samples: Samples) -> str:
    for start in range(0, samples.size, 1600):
        recognition.feed(samples[start : start + 1600])
    recognition.conclude()
    recognition.finish()
    text = ""
    while (heard := await recognition.next()) is not None:
        text = heard.text
    recognition.close()
    return text


@pytest.mark.parametrize("rate", [16000, 8000])
async def test_whisper_understands_clear_speech(rate: int) -> None:
    engine = WhisperEngine(AdapterSettings())
    await engine.start()
    wrong = total = 0
    for clip in CLIPS:
        samples = sound(clip, rate)
        heard = await final(engine.recognize(RecognitionRequest(rate, partials=True)), samples)
        wrong += errors(words(clip.text), words(heard))
        total += len(words(clip.text))
    await engine.stop()
    assert wrong / total <= 0.1


def sound(clip: Clip, rate: int) -> Samples:
    _, samples = read_wav(clip.path)
    return samples if rate == 16000 else telephone(samples)


@pytest.mark.parametrize("level", [0, 30, 1000])
async def test_whisper_hears_nothing_in_noise_and_silence(level: int) -> None:
    engine = WhisperEngine(AdapterSettings())
    await engine.start()
    for seconds in (0.05, 0.4, 1.5, 4.0):
        noise = np.random.default_rng(1).normal(0, level, int(seconds * 16000)).astype(np.int16)
        assert await final(engine.recognize(RecognitionRequest(16000)), noise) == ""
    await engine.stop()


async def spoken(engine: HibariEngine, text: str, rate: int) -> Samples:
    synthesis = engine.synthesize(SynthesisRequest(rate))
    return np.concatenate([piece async for piece in synthesis.speak(text)])


LONG = "I can help with that. " + "We are open from eight until six on weekdays, " * 8


@pytest.mark.parametrize("text", ["Goodbye.", "It is $49.99, due on May 5th at 3:30 PM.", LONG])
async def test_hibari_says_the_same_text_the_same_way(text: str) -> None:
    takes = []
    for _ in range(2):
        engine = HibariEngine(AdapterSettings(sense="tts"))
        await engine.start()
        takes.append(await spoken(engine, text, 8000))
        takes.append(await spoken(engine, text, 8000))
        assert engine.cache.size_bytes == takes[-1].nbytes
        await engine.stop()
    assert len({hashlib.sha256(take.tobytes()).hexdigest() for take in takes}) == 1
    lead = np.flatnonzero(np.abs(takes[0]) > 100)[0] / 8000
    assert lead < 0.1


async def test_what_hibari_says_whisper_understands() -> None:
    mouth, ear = HibariEngine(AdapterSettings(sense="tts")), WhisperEngine(AdapterSettings())
    await mouth.start()
    await ear.start()
    text = "Your appointment is on Friday afternoon, thank you for calling."
    samples = np.pad(await spoken(mouth, text, 16000), 4000)
    heard = await final(ear.recognize(RecognitionRequest(16000)), samples)
    await mouth.stop()
    await ear.stop()
    assert errors(words(text), words(heard)) <= 1


async def test_hibari_knows_only_the_voices_on_this_machine() -> None:
    engine = HibariEngine(AdapterSettings(sense="tts"))
    await engine.start()
    engine.synthesize(SynthesisRequest(16000, voice="heart"))
    with pytest.raises(NotFound, match="heart"):
        engine.synthesize(SynthesisRequest(16000, voice="nobody"))
    empty = [piece async for piece in engine.synthesize(SynthesisRequest(16000)).speak("你好")]
    assert empty == []
    await engine.stop()


def test_the_base_model_is_joined_once_and_mended_when_damaged(tmp_path: Path) -> None:
    model = weights.base_folder(tmp_path) / "model.bin"
    before = model.stat().st_mtime_ns
    weights.base_folder(tmp_path)
    assert model.stat().st_mtime_ns == before
    model.write_bytes(b"damaged")
    weights.base_folder(tmp_path)
    assert model.stat().st_size == weights.BASE_BYTES
    assert sorted(path.name for path in model.parent.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    ]
