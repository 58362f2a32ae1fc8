from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.adapters.clips import CLIPS, Clip
from voicemesh.audio import (
    Resampler,
    Samples,
    decode_alaw,
    decode_mulaw,
    encode_alaw,
    encode_mulaw,
    read_wav,
    tonetext,
)

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate((resampler.feed(samples), resampler.flush()))


def over_the_telephone(samples: Samples, rate: int) -> Samples:
    """Through mu-law, 16 kHz and A-law, as a call between two carriers goes."""
    narrow = decode_mulaw(encode_mulaw(resampled(samples, rate, 8000)))
    wide = resampled(narrow, 8000, 16000)
    return decode_alaw(encode_alaw(resampled(wide, 16000, 8000)))


@settings(deadline=None, max_examples=60)
@given(
    text=ENCODABLE,
    rate=st.sampled_from([8000, 16000]),
    before=st.integers(0, 5000),
    loudness=st.floats(0.3, 1.5),
)
def test_words_survive_the_telephone_wherever_they_begin(
    text: str, rate: int, before: int, loudness: float
) -> None:
    sound = np.pad(tonetext.encode(text, rate), (before, 700)) * loudness
    line = over_the_telephone(sound.clip(-32768, 32767).astype(np.int16), rate)
    assert tonetext.decode(line, 8000) == text


def test_words_survive_noise() -> None:
    sound = tonetext.encode("my account number is 472916", 8000)
    noise = np.random.default_rng(0).normal(0, 100, sound.size)
    assert tonetext.decode((sound + noise).astype(np.int16)) == "my account number is 472916"


def test_texts_in_a_row_are_joined() -> None:
    sound = np.concatenate([tonetext.encode(text, 16000) for text in ("Hello.", "It is me.")])
    assert tonetext.decode(sound, 16000) == "Hello. It is me."
    assert tonetext.texts(sound, 16000) == ["Hello.", "It is me."]


@settings(deadline=None, max_examples=30)
@given(text=ENCODABLE, heard=st.floats(0, 1))
def test_the_beginning_is_read_as_far_as_it_was_heard(text: str, heard: float) -> None:
    sound = tonetext.encode(text)
    words = tonetext.decode(sound[: int(heard * sound.size)]) or ""
    assert text.startswith(words.rstrip(tonetext.DAMAGED))


@settings(deadline=None, max_examples=30)
@given(start=st.integers(10, 40), length=st.integers(1, 10))
def test_lost_audio_is_never_taken_for_other_words(start: int, length: int) -> None:
    text = "could you repeat that more slowly please"
    sound = tonetext.encode(text).copy()
    sound[start * 160 : (start + length) * 160] = 0
    words = tonetext.decode(sound)
    assert words is None or words == text or tonetext.DAMAGED in words or text.startswith(words)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_human_speech_has_no_words_for_it(clip: Clip) -> None:
    rate, samples = read_wav(clip.path)
    assert tonetext.decode(samples, rate) is None


def test_silence_and_nothing_have_no_words() -> None:
    assert tonetext.decode(np.zeros(16000, np.int16)) is None
    assert tonetext.decode(np.empty(0, np.int16)) is None


def test_duration_is_that_of_the_sound() -> None:
    assert tonetext.duration("hello") * 8000 == tonetext.encode("hello").size


@settings(deadline=None, max_examples=30)
@given(start=st.integers(8, 40), length=st.integers(1, 8), doubled=st.booleans())
def test_audio_cut_out_or_doubled_shows(start: int, length: int, doubled: bool) -> None:
    text = "could you repeat that more slowly please"
    sound = tonetext.encode(text)
    end = (start + length) * 160
    kept = sound[: end if doubled else start * 160]
    words = tonetext.decode(np.concatenate((kept, sound[start * 160 if doubled else end :])))
    assert words is not None
    assert tonetext.DAMAGED in words
