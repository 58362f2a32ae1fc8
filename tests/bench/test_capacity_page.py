"""docs/capacity.md says what the commands say."""

from __future__ import annotations

import pytest

from bench import capacity


def test_the_page_follows_the_unit_costs() -> None:
    page = capacity.PAGE.read_text(encoding="utf-8")
    assert capacity.updated(page) == page, "run `python -m bench.capacity`"


def test_a_page_without_marks_is_not_written() -> None:
    with pytest.raises(ValueError, match="marks of 'unit costs' are missing"):
        capacity.updated("# Capacity\n")
