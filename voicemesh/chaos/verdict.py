"""What of one call was lost, repeated or wrong: what was said, what was journalled, what was heard.

Three accounts of the same call are held against each other: what the caller said and what has to
answer it, the journal, and the words in the sound that arrived at the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from voicemesh.audio.tonetext import DAMAGED
from voicemesh.chaos.talk import EXTRAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from voicemesh.chaos.talk import Talk

RATE = 8000
EDGE_SAMPLES = RATE * 12 // 100
"""Voice activity may begin and end this much inside of what was said: it is a vowel there, and the
words prove that everything between was heard."""


MOST_LATE_SAMPLES = 10 * RATE


class Loss(StrEnum):
    """What may not happen. The values are the names in the report."""

    CALLS = "calls_lost"
    SAMPLES = "caller_samples_lost"
    LOST = "sentences_lost"
    REPEATED = "sentences_repeated"
    WORDS = "words_wrong"
    TOOLS = "tools_repeated"
    TOOLS_LOST = "tools_lost"
    SILENCE = "dead_air"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that went wrong."""

    loss: Loss
    call: str
    """Identity of the call."""
    detail: str
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the caller's, as it was said."""

    text: str
    start: int
    """Caller offset of its first sample of speech."""
    end: int
    """Caller offset behind its last sample of speech."""
    halting: bool = False
    """Whether its own process stood still meanwhile: then a pause in it is no fault of the mesh."""
    late: bool = False
    """Whether it stood still before, so that everything since has a later place in the call."""


@dataclass(slots=True)
class Evidence:
    """Everything that is known of one call when it is over."""

    call: str
    """Identity of the call."""
    talk: Talk
    said: list[Said] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """Every sentence in the sound that arrived, in order."""
    heard_samples: int = 0
    """How much of the bot's sound arrived."""
    journal: Sequence[Mapping[str, Any]] = ()
    failure: str = ""
    """Why the call ended before it should."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One list of sentences held against another."""

    lost: tuple[str, ...]
    repeated: tuple[str, ...]
    wrong: tuple[tuple[str, str], ...]
    """What should have been, and what was; either may be empty."""


def compare(expected: Sequence[str], found: Sequence[str]) -> Compared:
    """Return how the sentences found differ from those expected."""
    lost: list[str] = []
    repeated: list[str] = []
    wrong: list[tuple[str, str]] = []
    match = SequenceMatcher(None, expected, found, autojunk=False)
    for tag, begin, end, start, stop in match.get_opcodes():
        if tag == "equal":
            continue
        missing, extra = list(expected[begin:end]), list(found[start:stop])
        # What was begun and then said whole, or said whole and then begun again.
        again = [each for each in extra if _is_repeat(each, expected, missing)]
        repeated += again
        extra = [each for each in extra if each not in again]
        pairs = min(len(missing), len(extra))
        wrong += zip(missing[:pairs], extra[:pairs], strict=True)
        lost += missing[pairs:]
        wrong += [("", each) for each in extra[pairs:]]
    return Compared(tuple(lost), tuple(repeated), tuple(wrong))


def judge(evidence: Evidence, results: Mapping[str, str]) -> list[Finding]:
    """Return what went wrong in a call; `results` has what tools answered, by their words."""
    if evidence.failure:
        return [Finding(Loss.CALLS, evidence.call, evidence.failure)]
    told = _told(evidence.journal)
    found = _caller_findings(evidence, told.caller)
    if any(finding.loss is Loss.WORDS for finding in found):
        # What was misunderstood is counted once; of the answers to it only their sound is judged.
        expected, cut = _as_journalled(told)
    else:
        expected, cut = _as_planned(evidence.talk, told, results), []
        found += _sentence_findings(evidence, "journal", expected, told.texts_of_bot())
    if not evidence.talk.readable:
        return found + _sound_findings(evidence, told.sound)
    # What went wrong with a sentence in the journal went wrong with it for the caller, too.
    known = {_about(finding) for finding in found}
    heard = [text for text in evidence.heard if not _begins(text, cut)]
    findings = _sentence_findings(evidence, "heard", expected, heard)
    return found + [finding for finding in findings if _about(finding) not in known]


def _as_planned(talk: Talk, told: _Told, results: Mapping[str, str]) -> list[str]:
    expected = [*talk.greeting]
    for turn, text in enumerate(told.caller, 1):
        expected += talk.answer(turn, text, results)
    return expected


def _as_journalled(told: _Told) -> tuple[list[str], list[str]]:
    """Return the sentences that must have been heard, and those of which only a part may have."""
    whole = [text for turn, text in told.sentences if turn not in told.interrupted]
    return whole, [text for turn, text in told.sentences if turn in told.interrupted]


def _begins(text: str, sentences: Iterable[str]) -> bool:
    return any(each.startswith(text.rstrip(DAMAGED)) for each in sentences)


def _about(finding: Finding) -> tuple[Loss, str]:
    return finding.loss, finding.detail.partition(": ")[2]


@dataclass(slots=True)
class _Told:
    """What a journal tells."""

    caller: list[str] = field(default_factory=list)
    sentences: list[tuple[int, str]] = field(default_factory=list)
    """Turn and words."""
    interrupted: set[int] = field(default_factory=set)
    """Turns whose answer was cut off."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """From where until where each utterance went."""
    texts: list[str] = field(default_factory=list)
    """The words of each utterance."""
    sound: int = 0

    def texts_of_bot(self) -> list[str]:
        """Return what the bot meant to say."""
        return [text for _, text in self.sentences]


def _told(journal: Iterable[Mapping[str, Any]]) -> _Told:
    told = _Told()
    for entry in journal:
        if said := entry.get("caller_said"):
            told.spans.append((int(said.get("start_offset", 0)), int(said["end_offset"])))
            told.texts.append(said.get("text", ""))
            if said.get("turn"):
                told.caller.append(said.get("text", ""))
        elif planned := entry.get("sentence_planned"):
            told.sentences.append((int(planned.get("turn", 0)), planned["text"]))
        elif cut := entry.get("reply_interrupted"):
            told.interrupted.add(int(cut.get("turn", 0)))
        elif finished := entry.get("sentence_finished"):
            told.sound = int(finished["end_offset"])
    return told


def _caller_findings(evidence: Evidence, understood: Sequence[str]) -> list[Finding]:
    talk, call = evidence.talk, evidence.call
    said = [line.text for line in evidence.said]
    # In the form in which they count as the same, so that only real differences remain.
    as_said = [next((text for text in said if talk.same(text, each)), each) for each in understood]
    compared = _excused(
        compare(said, as_said), {line.text for line in evidence.said if line.halting}
    )
    found = [
        Finding(Loss.WORDS, call, f"caller not understood: {text}", len(text.split()))
        for text in compared.lost
    ]
    found += [
        Finding(Loss.WORDS, call, f"caller understood twice: {text}", len(text.split()))
        for text in compared.repeated
    ]
    found += [
        Finding(Loss.WORDS, call, f"caller misunderstood: {one!r} as {other!r}", _wrong(one, other))
        for one, other in compared.wrong
    ]
    told = _told(evidence.journal)
    for line in evidence.said:
        if line.halting:
            continue
        missing = _missing(evidence, line, told)
        if missing:
            found.append(Finding(Loss.SAMPLES, call, f"in no utterance: {line.text}", missing))
    return found


def _missing(evidence: Evidence, line: Said, told: _Told) -> int:
    """Return how many samples of a line lie in no utterance.

    Whatever stood still on the way makes everything since come later, and it is not lost for that.
    """
    places = {0} | {
        told.spans[number][0] - line.start
        for number, text in enumerate(told.texts)
        if line.late or evidence.talk.same(line.text, text)
    }
    return min(
        uncovered(line.start + place + EDGE_SAMPLES, line.end + place - EDGE_SAMPLES, told.spans)
        for place in places
        if 0 <= place <= MOST_LATE_SAMPLES
    )


def _excused(compared: Compared, halting: set[str]) -> Compared:
    """Leave out what the caller did not say as it should have."""
    return Compared(
        tuple(text for text in compared.lost if text not in halting),
        compared.repeated,
        tuple(pair for pair in compared.wrong if pair[0] not in halting),
    )


def uncovered(start: int, end: int, spans: Iterable[tuple[int, int]]) -> int:
    """Return how many samples from `start` to `end` lie in none of the spans."""
    missing, position = 0, start
    for begin, stop in sorted(spans):
        if stop <= position:
            continue
        missing += max(min(begin, end) - position, 0)
        position = max(position, stop)
        if position >= end:
            break
    return missing + max(end - position, 0)


def _sentence_findings(
    evidence: Evidence, where: str, expected: Sequence[str], found: Sequence[str]
) -> list[Finding]:
    call = evidence.call
    compared = compare(expected, [each for each in found if not _is_extra(each)])
    findings = [Finding(Loss.LOST, call, f"not in what was {where}: {t}") for t in compared.lost]
    findings += [
        Finding(Loss.REPEATED, call, f"twice in what was {where}: {text}")
        for text in compared.repeated
    ]
    return findings + [
        Finding(
            Loss.WORDS, call, f"wrong in what was {where}: {one!r}, {other!r}", _wrong(one, other)
        )
        for one, other in compared.wrong
    ]


def _is_extra(text: str) -> bool:
    """Return whether this is what a gateway says in an outage, or the part said until its end."""
    begun = text.rstrip(DAMAGED)
    return bool(begun) and any(extra.startswith(begun) for extra in EXTRAS)


def _sound_findings(evidence: Evidence, planned: int) -> list[Finding]:
    """Sound that nobody can read is at least counted."""
    missing = planned - evidence.heard_samples
    if abs(missing) <= RATE // 50:
        return []
    what = "never arrived" if missing > 0 else "too many arrived"
    loss = Loss.LOST if missing > 0 else Loss.REPEATED
    return [Finding(loss, evidence.call, f"samples of the bot: {abs(missing)} {what}")]


def _is_repeat(text: str, expected: Sequence[str], missing: Sequence[str]) -> bool:
    """Return whether a text that should not be there was said elsewhere, or begun."""
    begun = text.rstrip(DAMAGED)
    if not begun or any(each.startswith(begun) for each in missing):
        return False
    return any(each.startswith(begun) for each in expected)


def _wrong(one: str, other: str) -> int:
    """Return how many words differ."""
    match = SequenceMatcher(None, one.split(), other.split(), autojunk=False)
    return sum(
        max(end - begin, stop - start)
        for tag, begin, end, start, stop in match.get_opcodes()
        if tag != "equal"
    )
