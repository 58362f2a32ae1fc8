"""A call of two hours is resumed from no more than one of ten minutes, and in no more steps.

What that is in milliseconds says ``python -m tests.orchestrator.long_call``.
"""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

import pytest

from tests.orchestrator.long_call import (
    TEN_MINUTES,
    TWO_HOURS,
    LongCall,
    called,
    encoded,
    steps_to_resume,
)
from voicemesh.compaction import FIRST_ENTRIES, OPEN_ENTRIES
from voicemesh.journal import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.journal import Entry


def last_opens(call: LongCall) -> list[Sequence[Entry]]:
    """Return what a session would have been opened with after each turn of the last 5 minutes."""
    since = call.clock.now - 300
    return [journal for at, journal in call.opens if at >= since]


def sizes(call: LongCall) -> list[int]:
    return [len(encoded(journal)) for journal in last_opens(call)]


def steps(call: LongCall) -> list[int]:
    return [steps_to_resume(encoded(journal)) for journal in last_opens(call)]


def test_a_call_of_two_hours_opens_with_the_bytes_of_one_of_ten_minutes() -> None:
    short, long = sizes(called(TEN_MINUTES)), sizes(called(TWO_HOURS))
    assert mean(long) == pytest.approx(mean(short), rel=0.1)
    assert max(long) == pytest.approx(max(short), rel=0.1)
    assert min(long) == pytest.approx(min(short), rel=0.1)
    assert max(len(journal) for _, journal in called(TWO_HOURS).opens) <= FIRST_ENTRIES + 10
    assert len(called(TWO_HOURS).journal.open_part) <= OPEN_ENTRIES + 10


def test_a_call_of_two_hours_resumes_in_the_steps_of_one_of_ten_minutes() -> None:
    short, long = steps(called(TEN_MINUTES)), steps(called(TWO_HOURS))
    assert mean(long) == pytest.approx(mean(short), rel=0.1)
    assert max(long) == pytest.approx(max(short), rel=0.1)


def test_what_is_remembered_does_not_depend_on_breaks() -> None:
    calm, stormy = called(TEN_MINUTES), called(TEN_MINUTES, breaking=True)
    assert [each.prompt for each in stormy.prompts] == [each.prompt for each in calm.prompts]
    assert stormy.tools.done == calm.tools.done


def test_the_record_has_every_turn() -> None:
    call = called(TWO_HOURS)
    kept = [e for e in call.journal.entries if e.compacted.HasField("started")]
    assert len(kept) == 1
    record = fold(e for e in call.journal.entries if not e.compacted.HasField("started"))
    assert len([turn for turn in record.turns if turn.caller_text]) == len(call.opens)


@pytest.mark.parametrize("seconds", [TEN_MINUTES, TWO_HOURS])
def test_a_fold_from_the_beginning_is_a_fold_from_the_compaction(seconds: float) -> None:
    call = called(seconds)
    assert fold(call.journal.entries) == call.memory
