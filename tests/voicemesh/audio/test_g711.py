from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from voicemesh.audio import Samples, decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

if TYPE_CHECKING:
    from collections.abc import Callable

SWEEP = Path(__file__).parents[2] / "data" / "g711" / "sweep.npz"
EVERY_SAMPLE = np.arange(-(1 << 15), 1 << 15).astype(np.int16)
EVERY_CODE = bytes(range(256))


def vector(name: str) -> NDArray[np.int64]:
    with np.load(SWEEP) as arrays:
        return np.asarray(arrays[name], np.int64)


@pytest.mark.parametrize(
    ("name", "encode", "decode"),
    [("mulaw", encode_mulaw, decode_mulaw), ("alaw", encode_alaw, decode_alaw)],
)
def test_the_sweep_of_g191_is_met_exactly(
    name: str, encode: Callable[[Samples], bytes], decode: Callable[[bytes], Samples]
) -> None:
    encoded = encode(EVERY_SAMPLE)
    assert np.frombuffer(encoded, np.uint8).tolist() == vector(name).tolist()
    decoded = decode(encoded)
    assert decoded.dtype == np.int16
    assert decoded.tolist() == vector(f"{name}_decoded").tolist()


def test_the_sweep_covers_all_codes() -> None:
    assert set(vector("mulaw")) == set(vector("alaw")) == set(range(256))


def test_codes_survive_a_round_trip() -> None:
    assert encode_alaw(decode_alaw(EVERY_CODE)) == EVERY_CODE
    # mu-law has two zeros; the negative one comes back positive.
    assert encode_mulaw(decode_mulaw(EVERY_CODE)) == EVERY_CODE.replace(b"\x7f", b"\xff")


def test_samples_need_not_be_contiguous() -> None:
    every_other = EVERY_SAMPLE[::2]
    assert encode_mulaw(every_other) == encode_mulaw(every_other.copy())


def test_nothing_becomes_nothing() -> None:
    nothing = np.empty(0, np.int16)
    assert encode_mulaw(nothing) == encode_alaw(nothing) == b""
    assert decode_mulaw(b"").size == decode_alaw(b"").size == 0
