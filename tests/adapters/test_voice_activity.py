"""Voice activity detection takes tonetext for speech, so scripted callers can take turns."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from voicemesh.audio import Samples, decode_mulaw, encode_mulaw, tonetext


def silero(samples: Samples, rate: int) -> NDArray[np.float32]:
    """Return the speech probability of every 32 ms window."""
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    model = Path(spec.origin).parent / "data" / "silero_vad.onnx"
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    size, before = rate * 32 // 1000, rate * 4 // 1000
    state, sound = np.zeros((2, 1, 128), np.float32), np.pad(samples / 32768, (before, 0))
    probabilities = []
    for start in range(0, samples.size - size + 1, size):
        window = sound[None, start : start + before + size].astype(np.float32)
        inputs = {"input": window, "state": state, "sr": np.array(rate, np.int64)}
        probability, state = session.run(None, inputs)
        probabilities.append(probability[0, 0])
    return np.array(probabilities)


@pytest.mark.models
@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("text", ["yes", "i would like to book a table for six people on friday"])
def test_it_is_speech_from_its_second_window_to_its_last(text: str, rate: int) -> None:
    sound = tonetext.encode(text, rate)
    if rate == 8000:
        sound = decode_mulaw(encode_mulaw(sound))
    probabilities = silero(sound, rate)
    assert (probabilities[1:] > 0.5).all(), probabilities.round(2)
