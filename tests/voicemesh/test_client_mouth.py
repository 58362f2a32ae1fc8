from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.support.fake_gateway import tone
from voicemesh.client.mouth import (
    LONGEST_GAP_SECONDS,
    MAX_QUEUED_SECONDS,
    CallerClock,
    Mouth,
    speech_bounds,
)
from voicemesh.errors import InvalidInput

RATE = 8000
FRAME = 160


def numbers(count: int, first: int = 1) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.arange(first, first + count).astype(np.int16)


def test_silence_is_sent_like_a_phone_does() -> None:
    mouth = Mouth(RATE)
    frames = [mouth.frame() for _ in range(3)]
    assert [frame.offset for frame in frames if frame] == [0, FRAME, 2 * FRAME]
    assert not any(frame.samples.any() for frame in frames if frame)


def test_silence_can_be_left_out() -> None:
    mouth = Mouth(RATE, send_silence=False)
    assert mouth.frame() is None
    mouth.say(numbers(FRAME + 1))
    first, second = mouth.frame(), mouth.frame()
    assert first is not None
    assert second is not None
    assert (first.offset, second.offset) == (FRAME, 2 * FRAME)
    assert second.samples[0] == FRAME + 1
    assert mouth.frame() is None


def test_a_long_silence_is_broken_before_the_gateway_refuses_the_jump() -> None:
    mouth = Mouth(RATE, send_silence=False)
    count = int(2.5 * LONGEST_GAP_SECONDS / 0.02)
    sent = [frame.offset for frame in (mouth.frame() for _ in range(count)) if frame]
    assert len(sent) == 2
    assert np.diff([0, *sent]).max() <= (LONGEST_GAP_SECONDS + 0.02) * RATE


def test_too_much_speech_is_refused() -> None:
    mouth = Mouth(RATE)
    mouth.say(np.zeros(MAX_QUEUED_SECONDS * RATE, np.int16))
    with pytest.raises(InvalidInput, match="600 s"):
        mouth.say(numbers(1))


@given(
    st.lists(st.integers(min_value=0, max_value=5)),
    st.lists(st.integers(min_value=1, max_value=1000), max_size=5),
    st.booleans(),
)
def test_every_sample_is_sent_once_at_its_place(
    frames: list[int], sizes: list[int], send_silence: bool
) -> None:
    mouth = Mouth(RATE, send_silence=send_silence)
    sent = np.zeros(400 * FRAME, np.int16)
    total = 0
    for count, size in zip(frames, sizes, strict=False):
        for _ in range(count):
            frame = mouth.frame()
            if frame:
                sent[frame.offset : frame.offset + FRAME] += frame.samples
        mouth.say(numbers(size, total + 1))
        total += size
    while mouth.speaking:
        frame = mouth.frame()
        assert frame is not None
        sent[frame.offset : frame.offset + FRAME] += frame.samples
    assert sent[sent != 0].tolist() == list(range(1, total + 1))
    assert np.array_equal(mouth.track(), sent[: mouth.next_offset])


def test_speech_is_the_loud_part() -> None:
    quiet = np.zeros(4000, np.int16)
    bounds = speech_bounds(np.concatenate((quiet, tone(0.5, RATE), quiet)), RATE)
    assert bounds == pytest.approx((4000, 8000), abs=80)
    assert speech_bounds(quiet, RATE) == (0, 0)
    assert speech_bounds(np.zeros(0, np.int16), RATE) == (0, 0)


def test_the_clock_knows_when_a_sample_was_sent() -> None:
    clock = CallerClock(FRAME)
    assert clock.began is None
    for now in (10.0, 10.02, 10.05):
        clock.tick(now)
    assert clock.began == 10.0
    assert clock.sent_at(FRAME) == 10.0
    assert clock.sent_at(FRAME + 1) == 10.02
    assert clock.sent_at(3 * FRAME) == 10.05
    assert clock.sent_at(3 * FRAME + 1) is None
