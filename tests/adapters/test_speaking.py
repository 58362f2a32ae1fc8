from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from adapters.tts.cache import SentenceCache
from adapters.tts.speakable import speakable
from adapters.tts.voice import LONGEST_PART, RATE, split, trim


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Call 415-555-0198.", "Call 4 1 5, 5 5 5, 0 1 9 8."),
        ("Call +1 (415) 555-0198.", "Call plus 1, 4 1 5, 5 5 5, 0 1 9 8."),
        ("or 1-800-555-1234", "or 1, 8 0 0, 5 5 5, 1 2 3 4"),
        ("Order 80337, please.", "Order 8 0 3, 3 7, please."),
        ("4155550198", "4 1 5, 5 5 5, 0 1 9 8"),
        ("Open 8-6.", "Open 8 to 6."),
        ("3:30-4:30 pm", "3:30 to 4:30 pm"),
        ("https://www.example.com", "w w w dot example.com"),
    ],
)
def test_what_is_spelt_on_the_telephone_is_spelt(text: str, read: str) -> None:
    assert speakable(text) == read


@pytest.mark.parametrize(
    "text", ["$49.99 at 3:30 pm", "in 2026", "2024-05-01", "$12345.67", "12,345 people", "100%"]
)
def test_what_the_voice_reads_well_is_left_alone(text: str) -> None:
    assert speakable(text) == text


@given(st.text(st.sampled_from("ab ,;.—"), max_size=2000))
def test_parts_are_short_and_lose_nothing(text: str) -> None:
    parts = list(split(text))
    assert "".join(parts) == text
    assert all(len(part) <= LONGEST_PART for part in parts)


def test_silence_around_a_sentence_is_trimmed() -> None:
    wave = np.pad(np.full(RATE, 0.1, np.float32), (RATE // 2, RATE))
    kept = trim(wave)
    lead, tail = RATE // 50, RATE // 50 * 6
    assert kept.size == lead + RATE + tail
    assert not kept[:lead].any()
    assert kept[lead] > 0
    assert trim(np.zeros(RATE, np.float32)).size == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60))
def test_the_cache_stays_within_its_bounds_and_keeps_the_latest(
    puts: list[tuple[int, int]],
) -> None:
    cache = SentenceCache(max_sentences=4, max_bytes=120)
    for name, size in puts:
        pieces = [np.zeros(size, np.int16)]
        cache.put(("v", 8000, str(name)), pieces)
        assert cache.size_bytes <= 120
        assert cache.get(("v", 8000, str(name))) is pieces
    held = [cache.get(("v", 8000, str(name))) for name in range(10)]
    assert sum(pieces is not None for pieces in held) <= 4
    assert cache.size_bytes == sum(piece.nbytes for pieces in held for piece in pieces or ())
