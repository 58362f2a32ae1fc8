"""Decides whether the demo's call went as it must; each finding is one line."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MIN_TURNS = 6
MOST_LATE_MS = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that had to be so."""

    what: str
    held: bool
    seen: str
    required: bool = True
    """Whether the call has failed without it; what a busy machine does is only told."""


def judge(record: dict[str, Any], appointments: Sequence[dict[str, Any]]) -> list[Finding]:
    """Check a call's record (as ``voicemesh call --json`` has it) and what was booked."""
    return [
        *_answers(record),
        *_booking(record, appointments),
        *_manners(record),
    ]


def _answers(record: dict[str, Any]) -> Iterator[Finding]:
    bot = _said(record, "bot")
    yield _contains("the question was answered", bot, "nine until noon")
    yield _contains("the appointment was confirmed", bot, "you are booked for tuesday")
    yield _contains("the interruption was answered", bot, "parking spaces behind the house")
    yield _contains("the correction was confirmed", bot, "wednesday")
    yield _contains("the bot said goodbye", bot, "goodbye")
    turns = len(record["turns"])
    yield Finding(f"there were at least {MIN_TURNS} turns", turns >= MIN_TURNS, str(turns))


def _booking(record: dict[str, Any], appointments: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    intents = [entry["tool_intended"] for entry in record["journal"] if "tool_intended" in entry]
    booked = [intent for intent in intents if intent["name"] == "book_appointment"]
    yield Finding("the tool was called twice", len(booked) == 2, f"{len(booked)} calls")
    yield Finding("one appointment is left", len(appointments) == 1, f"{list(appointments)}")
    for each in appointments[:1]:
        day = datetime.date.fromisoformat(each["date"])
        yield Finding("it is on a Wednesday", f"{day:%A}" == "Wednesday", f"{day:%A}, {day}")
        yield Finding("it is at three", each["time"] == "15:00", each["time"])
        name = str(each.get("name", ""))
        yield Finding("it is for Anna Miller", name.lower() == "anna miller", name)


def _manners(record: dict[str, Any]) -> Iterator[Finding]:
    cuts = [entry for entry in record["journal"] if "reply_interrupted" in entry]
    yield Finding("the bot let itself be interrupted", bool(cuts), f"{len(cuts)} interruptions")
    ended = record["ended"]
    yield Finding("the bot hung up", ended == "bot_hung_up", str(ended))
    late = record["bot_audio"]["lateness_p99_ms"]
    in_time = late <= MOST_LATE_MS
    yield Finding(
        f"audio was never over {MOST_LATE_MS:g} ms late", in_time, f"{late}", required=False
    )


def _said(record: dict[str, Any], speaker: str) -> str:
    said = [words["text"] for words in record["transcript"] if words["speaker"] == speaker]
    return " ".join(said)


def _contains(what: str, text: str, wanted: str) -> Finding:
    return Finding(what, wanted in text.lower(), wanted)
