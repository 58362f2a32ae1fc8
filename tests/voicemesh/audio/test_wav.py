from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from voicemesh.audio import SAMPLE_RATES, Encoding, Samples, read_wav, write_wav
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

RATES = SAMPLE_RATES[Encoding.LINEAR16]
sounds = arrays(np.int16, st.integers(0, 50))


def written(rate: int = 16000, channels: int = 1, width: int = 2, frames: int = 4) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(bytes(frames * channels * width))
    return file.getvalue()


@given(rate=st.sampled_from(RATES), sound=sounds)
def test_one_channel_comes_back(rate: int, sound: Samples) -> None:
    file = io.BytesIO()
    write_wav(file, rate, sound)
    file.seek(0)
    read_rate, read = read_wav(file)
    assert (read_rate, read.tolist()) == (rate, sound.tolist())


@given(left=sounds, right=sounds)
def test_the_caller_is_left_the_bot_right(left: Samples, right: Samples) -> None:
    file = io.BytesIO()
    write_wav(file, 8000, left, right)
    file.seek(0)
    with wave.open(file, "rb") as reader:
        assert (reader.getnchannels(), reader.getframerate()) == (2, 8000)
        frames = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").reshape(-1, 2)
    longest = max(left.size, right.size)
    for channel, sound in ((0, left), (1, right)):
        assert frames[:, channel].tolist() == [*sound.tolist(), *[0] * (longest - sound.size)]


def test_paths_work_too(tmp_path: Path) -> None:
    path = tmp_path / "two words.wav"
    write_wav(path, 24000, np.array([1, -2, 3], np.int16))
    rate, samples = read_wav(path)
    assert (rate, samples.tolist()) == (24000, [1, -2, 3])
    assert samples.dtype == np.int16


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (written(channels=2), "has 2 channels, not 1"),
        (written(width=1), "has 8 bits a sample, not 16"),
        (written(rate=44100), "has 44100 samples a second, not 8000, 16000, 24000, 48000"),
        (b"ID3 this is something else", "is not a PCM WAV file"),
        (b"", "is not a PCM WAV file: it ends early"),
        (written()[:20], "is not a PCM WAV file"),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_wav(io.BytesIO(data))


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hold.wav"
    path.write_bytes(b"nothing")
    with pytest.raises(InvalidInput) as caught:
        read_wav(path)
    assert caught.value.details["field"] == str(path)


def test_a_file_cut_in_a_sample_loses_only_that(tmp_path: Path) -> None:
    _, samples = read_wav(io.BytesIO(written(frames=4)[:-1]))
    assert samples.tolist() == [0, 0, 0]
