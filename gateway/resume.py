"""Calls taken up from what their callers hold: segments come in, a call's past comes out. No I/O.

A gateway holds a call's memory: the journal, and where caller and bot stand. If it dies, that is
gone, so the caller holds it too, sealed (`gateway.resume_memory`); any other gateway of the mesh
opens it and goes on. What cannot be opened, is too old, or is somebody else's, is refused in one
way that says nothing.

The audio that the dead gateway had buffered is not in the memory. A sentence that was complete, but
not heard to its end, is therefore made planned again: the orchestrator speaks it anew, and what was
heard of it is skipped. This is the one place where a journal is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from voicemesh.api.call.v1 import memory_pb2
from voicemesh.api.journal.v1.journal_pb2 import REPLY_STATE_INTERRUPTED as INTERRUPTED
from voicemesh.errors import InvalidInput, VoicemeshError
from voicemesh.journal import Entry, fold
from voicemesh.sealing import refusal
from voicemesh.tenancy import asking

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from google.protobuf.timestamp_pb2 import Timestamp

    from voicemesh.api.call.v1 import call_pb2
    from voicemesh.api.journal.v1 import hop_pb2, journal_pb2
    from voicemesh.sealing import Keyring, Sealer

MAX_ATTEMPT = 2000
"""Gateways that a call may have, one after another."""
GRID_SECONDS = 0.02
"""Places in the caller's audio are whole multiples of this, so that they are whole samples at every
rate."""
CLOCK_SKEW_SECONDS = 300
"""By how much the clock of the gateway that sealed may be ahead."""
UNTOLD_SECONDS = 60
"""How much of the bot may have been heard that the newest segment does not know of, besides what
has passed since it was sealed."""
ALONE_SECONDS = 5
"""How much of what a caller has of the bot and has not heard yet is not sent again."""
_MAX_CALL_ID = 64


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the caller's audio; samples of the call's rate."""

    caller_offset: int
    """By the caller's own count."""
    clock_offset: int
    """By the call's clock, which the journal goes by."""


@dataclass(frozen=True, slots=True)
class Past:
    """A call, as far as it is known without its gateway; offsets at the call's rate."""

    call_id: str
    incarnation: int
    """How many gateways held it before, or tried to."""
    facts: memory_pb2.Facts
    entries: Sequence[Entry]
    place: Place
    """From here on the caller is to be heard again."""
    reflected_offset: int
    """What the caller did before this place of the clock is in the journal."""
    bot_offset: int
    """Behind what the caller heard of the bot, or will never hear."""
    arrived_offset: int
    """Behind what the caller goes on hearing of the bot by itself."""
    lines: int
    """Samples of the gateway's own lines that the caller heard among the bot's."""
    digits: int
    """How many of the caller's keys are known."""
    done_actions: Set[str]
    """Keys of what must not be done again."""
    seconds: float
    """How long ago it began."""
    hops: Sequence[hop_pb2.Hop] = ()
    """Who took part in it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says who wants to go on with a call."""

    call_id: str
    attempt: int
    held_offset: int
    """First sample that the caller can send again, by its own count."""
    heard_offset: int
    """What was heard, of the bot and of the gateway's own lines."""
    arrived_offset: int = 0
    """Behind what will be heard even if nothing more comes."""


def context(call_id: str, start: call_pb2.Start) -> tuple[str, ...]:
    """Return what a call's memory is bound to: the call, and whose it is."""
    return "call", call_id, start.caller, start.bot, asking()


def check(resumption: call_pb2.Resumption) -> None:
    """Raise InvalidInput where a resumption is not as the contract says."""
    if not 1 <= len(resumption.call_id) <= _MAX_CALL_ID:
        raise InvalidInput(
            "start.resume.call_id", f"must have 1 to {_MAX_CALL_ID} characters", limit=_MAX_CALL_ID
        )
    if not 1 <= resumption.attempt <= MAX_ATTEMPT:
        raise InvalidInput("start.resume.attempt", f"must be 1 to {MAX_ATTEMPT}", limit=MAX_ATTEMPT)
    if not 0 <= resumption.held_offset <= resumption.caller_offset:
        raise InvalidInput("start.resume.held_offset", "must be 0 to caller_offset")
    if resumption.heard_offset < 0:
        raise InvalidInput("start.resume.heard_offset", "must be >= 0", limit=0)


class Memories:
    """Opens what callers hold."""

    def __init__(self, keyring: Keyring, lasting_seconds: float) -> None:
        self._keyring = keyring
        self._lasting_seconds = lasting_seconds

    def sealer(self, call_id: str, start: call_pb2.Start) -> Sealer:
        """Return what seals a call's memory for whoever began the call with `start`."""
        return self._keyring.sealer(*context(call_id, start))

    def past(self, start: call_pb2.Start, claim: Claim, rate: int, unix: float) -> Past:
        """Return a call as its memory has it; raise Denied unless that is whole, valid and theirs.

        That the newest segments are missing cannot be told, nor need it be: the gateway may have
        died before it could send them.
        """
        sealer = self.sealer(claim.call_id, start)
        sealed = start.resume.segments
        segments = [_parsed(sealer.open(data, place)) for place, data in enumerate(sealed)]
        if not segments or not self._valid(segments, unix):
            raise refusal()
        facts = segments[0].facts
        heard = start.bot_format if start.HasField("bot_format") else start.caller_format
        if (facts.caller_format, facts.bot_format) != (start.caller_format, heard):
            raise refusal()
        return _past(segments, claim, rate, unix)

    def _valid(self, segments: Sequence[memory_pb2.Segment], unix: float) -> bool:
        first, last = segments[0], segments[-1]
        if any(segment.generation != first.generation for segment in segments):
            return False
        age = unix - _seconds(last.seal_time)
        return -CLOCK_SKEW_SECONDS <= age <= self._lasting_seconds


def _past(segments: Sequence[memory_pb2.Segment], claim: Claim, rate: int, unix: float) -> Past:
    first, last = segments[0], segments[-1]
    age = max(0.0, unix - _seconds(last.seal_time))
    furthest = last.position.given_offset + int((age + UNTOLD_SECONDS) * rate)
    if claim.attempt <= first.facts.incarnation or claim.heard_offset > furthest:
        raise refusal()
    entries = [entry for segment in segments for entry in segment.entries]
    heard, lines = _parted(claim.heard_offset, last.position)
    try:
        entries = unheard(entries, heard)
        memory = fold(entries)
    except VoicemeshError:
        raise refusal() from None
    place = _place(last.position, claim.held_offset, rate)
    alone = max(0, claim.arrived_offset - claim.heard_offset)
    bot_offset = max(memory.bot_offset, heard)
    return Past(
        call_id=claim.call_id,
        incarnation=claim.attempt,
        facts=first.facts,
        entries=entries,
        place=place,
        reflected_offset=max(memory.consumed_offset, place.clock_offset),
        bot_offset=bot_offset,
        # Within a line of the gateway's own nothing is known of what follows.
        arrived_offset=bot_offset if last.position.HasField("line_offset") else heard + alone,
        lines=lines,
        digits=last.position.digits,
        done_actions={key for segment in segments for key in segment.done_actions},
        seconds=max(0.0, unix - _seconds(first.facts.start_time)),
        hops=tuple(hop for segment in segments for hop in segment.hops),
    )


def unheard(entries: Sequence[Entry], heard: int) -> list[Entry]:
    """Return a journal in which no sentence is complete that was not heard to its end."""
    cut = _behind_last_interruption(entries)
    kept = list(entries[:cut])
    for entry in entries[cut:]:
        if entry.HasField("sentence_finished") and entry.sentence_finished.end_offset > heard:
            continue
        moved = Entry()
        moved.CopyFrom(entry)
        moved.sequence = kept[-1].sequence + 1 if kept else entry.sequence
        if moved.HasField("compacted"):
            _unhear(moved.compacted, heard)
        kept.append(moved)
    return kept


def _unhear(compacted: journal_pb2.Compacted, heard: int) -> None:
    turns = list(compacted.turns)
    cut = [index for index, turn in enumerate(turns) if turn.reply == INTERRUPTED]
    for turn in turns[cut[-1] + 1 if cut else 0 :]:
        for part in turn.parts:
            sentence = part.sentence
            if sentence.end_offset > heard:
                compacted.bot_offset = min(compacted.bot_offset, sentence.start_offset)
                sentence.ClearField("start_offset")
                sentence.ClearField("end_offset")


def _behind_last_interruption(entries: Sequence[Entry]) -> int:
    """Return how many entries tell of what is over: what was cut off there is never said."""
    for index in range(len(entries), 0, -1):
        if entries[index - 1].HasField("reply_interrupted"):
            return index
    return 0


def _place(position: memory_pb2.Position, held: int, rate: int) -> Place:
    """Return where to begin: where the call needs the caller, or where the caller can begin."""
    grid = int(GRID_SECONDS * rate)
    ahead = max(0, held - held % grid - position.caller_offset)
    return Place(position.caller_offset + ahead, position.clock_offset + ahead)


def _parted(heard: int, position: memory_pb2.Position) -> tuple[int, int]:
    """Part what was heard into the bot and the gateway's own lines."""
    bot = max(0, heard - position.lines)
    if not position.HasField("line_offset") or bot <= position.line_offset:
        return bot, position.lines
    return position.line_offset, position.lines + bot - position.line_offset


def _parsed(data: bytes) -> memory_pb2.Segment:
    try:
        return memory_pb2.Segment.FromString(data)
    except DecodeError:
        raise refusal() from None


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
