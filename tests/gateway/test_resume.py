"""A call's memory, sealed and opened again, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gateway import commands as do, events as on
from gateway.call import CallSettings
from gateway.floor import TICK_SECONDS
from gateway.resume import Claim, Memories, Past, unheard
from gateway.resume_memory import (
    FRESH_SECONDS,
    HEARTBEAT_SECONDS,
    LONG_BYTES,
    MAX_BYTES,
    CallMemory,
)
from tests.gateway.rig import RATE, Rig, silence, speech
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2, memory_pb2
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.audio import Chunk
from voicemesh.compaction import compact
from voicemesh.errors import Denied
from voicemesh.journal import Entry, Journal, fold
from voicemesh.sealing import Keyring

if TYPE_CHECKING:
    from voicemesh.audio import Samples

LINEAR8 = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=RATE)
RING = Keyring([bytes(32)])
UNIX = 1_000_000.0
LASTING = 900.0


@dataclass
class Sealed(Rig):
    """A call whose memory is handed out, as `gateway.live` does it."""

    held: list[bytes] = field(default_factory=list)
    committed: int = 0
    digits: int = 0
    pressed: int = 0
    started: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.start = call_pb2.Start(bot="desk", caller_format=LINEAR8)
        self.start.resumable = True
        self.memories = Memories(RING, LASTING)
        told = memory_pb2.Facts(bot="desk", caller_format=LINEAR8, bot_format=LINEAR8)
        told.start_time.seconds = int(UNIX)
        sealer = self.memories.sealer("call", self.start)
        self.memory = CallMemory(told, sealer, RATE, UNIX - 100.0)

    def begin(self) -> None:
        self.ready()
        self.journal(call_started=journal_pb2.CallStarted(bot="desk", sample_rate_hertz=RATE))
        self.take(self.memory.begin(self.call, 0, self.now))

    def commit(self) -> None:
        """Have the orchestrator journal everything so far."""
        end = self.call.uplink.clock.position(self.now)
        note = journal_pb2.BrainNoted(name="n", value_json="1")
        entry = Entry(sequence=self.sequence, consumed_offset=end, brain_noted=note)
        self.sequence += 1
        self.handle(on.EntriesCame([entry]))
        self.handle(on.Acknowledged(end, end))

    def send_again(self, spoken: Samples) -> None:
        """Have the caller send again what is wanted, as fast as it goes."""
        self.ready(self.call.downlink.last_entry.consumed_offset)
        self.take(self.memory.begin(self.call, 0, self.now))
        for begin in range(self.sent_offset, spoken.size, 160):
            found = self.handle(on.CallerSounded(begin, spoken[begin : begin + 160]))
            self._acknowledge(found + self.tick())
        self.sent_offset = spoken.size

    def take(self, remember: do.Remember | None) -> do.Remember | None:
        if remember is not None:
            if remember.restarts:
                self.held.clear()
            self.held += [remember.segment] if remember.segment else []
            assert remember.caller_offset >= self.committed
            self.committed, self.digits = remember.caller_offset, remember.digits
        return remember

    def due(self, given_at: float | None = None) -> do.Remember | None:
        """Say when the caller was given something else; by default it is all the time."""
        given_at = self.now if given_at is None else given_at
        return self.take(self.memory.due(self.call, self.pressed, given_at, self.now))

    def past(self, heard: int = 0, attempt: int = 1, after: float = 0.0) -> Past:
        start = call_pb2.Start()
        start.CopyFrom(self.start)
        start.resume.segments.extend(self.held)
        claim = Claim("call", attempt, self.committed, heard)
        return self.memories.past(start, claim, RATE, UNIX - 100.0 + self.now + after)


def taken_up(before: Sealed, heard: int = 0) -> Sealed:
    """Return the call as another gateway holds it."""
    rig = Sealed(before.settings, now=before.now)
    past = before.past(heard)
    rig.call.take_up(past, rig.now)
    rig.sent_offset = past.place.caller_offset
    rig.sequence = past.entries[-1].sequence + 1
    return rig


def test_what_was_said_and_not_committed_is_wanted_again() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    rig.hear(silence(2))
    rig.due()
    began = rig.sent_offset
    rig.hear(speech(1, began))
    rig.due()
    assert rig.committed <= began - int(0.3 * RATE)
    again = taken_up(rig)
    again.ready()
    again.hear(silence((began - again.sent_offset) / RATE))
    again.hear(speech(1, again.sent_offset))
    again.hear(silence(1))
    heard = [each for each in again.sent() if isinstance(each, Chunk)]
    whole = sum(each.samples.size for each in heard if each.samples.any())
    assert whole >= RATE
    assert heard[0].offset >= rig.past().place.clock_offset


def test_a_silent_caller_need_not_keep_its_silence() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    told = 0
    for _ in range(50):
        rig.hear(silence(0.2))
        told += rig.due() is not None
    assert rig.sent_offset - rig.committed < 2 * RATE
    assert told <= 11
    assert len(rig.held) == 1


def test_a_caller_to_whom_nobody_speaks_hears_something_all_the_same() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    given_at, times = rig.now, [rig.now]
    for tick in range(500):
        rig.hear(silence(TICK_SECONDS))
        if 200 <= tick < 300:
            given_at = rig.now
        remember = rig.due(given_at)
        if remember is not None or rig.now == given_at:
            times.append(rig.now)
    assert max(np.diff(times)) <= HEARTBEAT_SECONDS + 1e-6
    assert len(times) <= 100 + 400 * TICK_SECONDS / (HEARTBEAT_SECONDS - TICK_SECONDS) + 5
    assert len(rig.held) == 1


def test_a_long_silence_does_not_let_the_memory_expire() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    for _ in range(10):
        rig.now += FRESH_SECONDS / 2
        rig.due()
    assert len(rig.held) == 6
    rig.past(after=LASTING - 1)
    with pytest.raises(Denied):
        rig.past(after=LASTING + FRESH_SECONDS)


def test_what_new_entries_cost_does_not_depend_on_the_call() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    sizes = []
    for _ in range(100):
        rig.journal(brain_noted=journal_pb2.BrainNoted(name="n", value_json='"v"'))
        remember = rig.due()
        assert remember is not None
        sizes.append(len(remember.segment))
    assert max(sizes) <= min(sizes) + 8
    assert [entry.sequence for entry in rig.past().entries] == list(range(101))


def test_a_long_memory_is_replaced_once_the_journal_was_compacted() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    note = journal_pb2.BrainNoted(name="n", value_json='"' + "v" * 4000 + '"')
    while sum(map(len, rig.held)) <= LONG_BYTES:
        rig.journal(brain_noted=note)
        rig.due()
    before = len(rig.held)
    rig.journal(compacted=compact(fold(rig.call.downlink.journal.entries)))
    rig.due()
    assert len(rig.held) == 1 < before
    entries = rig.past().entries
    assert entries[0].HasField("compacted")
    assert Journal(entries).next_sequence == rig.sequence
    again = taken_up(rig)
    again.ready()
    again.journal(brain_noted=note)


def test_a_memory_that_becomes_too_long_is_taken_back() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    note = journal_pb2.BrainNoted(name="n", value_json='"' + "v" * 8000 + '"')
    while rig.memory.held:
        assert sum(map(len, rig.held)) <= MAX_BYTES
        rig.journal(brain_noted=note)
        rig.due()
    assert rig.held == []
    assert rig.due() is None


def test_digits_count_as_known_once_they_are_committed() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    rig.hear(silence(1))
    for digit in "12":
        rig.handle(on.CallerPressed(digit))
        rig.pressed += 1
    rig.hear(silence(2))
    rig.due()
    assert rig.digits == 0
    rig.handle(on.Acknowledged(2 * RATE, RATE))
    rig.hear(silence(2))
    rig.due()
    assert rig.digits == 1
    rig.handle(on.Acknowledged(2 * RATE, 2 * RATE))
    rig.journal(brain_noted=journal_pb2.BrainNoted(name="n"))
    rig.due()
    assert rig.past().digits == 2


def test_lines_of_the_gateway_count_in_what_was_heard_but_not_as_the_bot() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    rig.journal(reply_started=journal_pb2.ReplyStarted(turn=1))
    rig.plan()
    rig.handle(on.BotSounded(Chunk(0, speech(0.5))))
    rig.wait(1)
    downlink = rig.call.downlink
    downlink.say(speech(2), rig.now)
    assert rig.memory.grown(rig.call)
    rig.due()
    # Half a second of the bot, and one of the line.
    midway = rig.past(heard=int(1.5 * RATE))
    assert (midway.bot_offset, midway.lines) == (RATE // 2, RATE)
    rig.wait(3)
    assert rig.memory.grown(rig.call)
    rig.due()
    behind = rig.past(heard=int(2.5 * RATE))
    assert (behind.bot_offset, behind.lines) == (RATE // 2, 2 * RATE)
    again = taken_up(rig, heard=int(2.5 * RATE))
    again.ready()
    again.handle(on.BotSounded(Chunk(RATE // 2, speech(0.5))))
    (play,) = [each for _, each in again.out if isinstance(each, do.Play)]
    assert play.chunk.offset == int(2.5 * RATE)


def test_digits_that_the_bot_sent_are_not_sent_again_but_an_end_is() -> None:
    rig = Sealed(CallSettings(rate=RATE))
    rig.begin()
    for key, kind in (("a", "send_digits"), ("b", "hang_up")):
        rig.journal(action_ordered=journal_pb2.ActionOrdered(key=key, kind=kind))
    rig.due()
    assert rig.past().done_actions == set()
    rig.handle(on.DigitsTold("a", 0, "42"))
    assert rig.memory.grown(rig.call)
    rig.handle(on.HangUpTold("b", 0))
    rig.take(rig.memory.add(rig.call, 0, rig.now))
    assert rig.past().done_actions == {"a"}


def finished(sequence: int, sentence: int, start: int, end: int) -> Entry:
    done = journal_pb2.SentenceFinished(sentence=sentence, start_offset=start, end_offset=end)
    return Entry(sequence=sequence, sentence_finished=done)


def spoken(lengths: list[int], cut: int | None) -> list[Entry]:
    """Return a journal of one turn for each sentence; the reply `cut` was interrupted."""
    entries = [Entry(sequence=0, call_started=journal_pb2.CallStarted(bot="b"))]

    def write(**event: object) -> None:
        entries.append(Entry(sequence=len(entries), **event))  # type: ignore[arg-type]

    offset = 0
    for number, length in enumerate(lengths):
        write(reply_started=journal_pb2.ReplyStarted(turn=number))
        planned = journal_pb2.SentencePlanned(turn=number, sentence=number, text=str(number))
        write(sentence_planned=planned)
        entries.append(finished(len(entries), number, offset, offset + length))
        offset += length
        if number == cut:
            write(
                reply_interrupted=journal_pb2.ReplyInterrupted(
                    turn=number, heard_offset=offset - length // 2, next_offset=offset
                )
            )
        else:
            write(reply_finished=journal_pb2.ReplyFinished(turn=number))
    return entries


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=8),
    st.none() | st.integers(0, 7),
    st.integers(0, 9000),
    st.booleans(),
)
def test_exactly_what_was_not_heard_to_its_end_is_spoken_again(
    lengths: list[int], cut: int | None, heard: int, compacted: bool
) -> None:
    entries = spoken(lengths, cut)
    if compacted:
        memory = fold(entries)
        entry = Entry(sequence=len(entries), compacted=compact(memory))
        entries.append(entry)
        if heard % 2:
            entries = entries[-1:]
    again = fold(unheard(entries, heard))
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    # What was cut off is over, and so is what came before it.
    over = -1 if cut is None or cut >= len(lengths) else cut
    unsaid = [n for n, end in enumerate(ends) if n > over and end > heard]
    assert unsaid == [n for n, each in again.sentences.items() if each.end_offset is None]
    assert again.bot_offset == (ends[unsaid[0]] - lengths[unsaid[0]] if unsaid else ends[-1])
    assert Journal(unheard(entries, heard)).next_sequence == again.next_sequence


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("silence"), st.integers(5, 100)),
            st.tuples(st.just("speech"), st.integers(15, 100)),
            st.tuples(st.just("commit"), st.just(0)),
            st.tuples(st.just("die"), st.just(0)),
        ),
        max_size=14,
    )
)
def test_no_speech_is_lost_and_no_place_drifts_however_often_gateways_die(
    script: list[tuple[str, int]],
) -> None:
    rig, spoken, attempt = Sealed(CallSettings(rate=RATE)), silence(0), 0
    rig.begin()
    told: set[tuple[int, int]] = set()
    for what, frames in [*script, ("silence", 50)]:
        said = silence(frames * 0.02)
        if what == "speech":
            said = speech(frames * 0.02, spoken.size)
        if what == "commit" and not rig.call.uplink.speaking:
            rig.commit()
        if what == "die":
            attempt += 1
            place = rig.past(attempt=attempt).place
            assert place.clock_offset == place.caller_offset <= spoken.size
            told |= samples_in(rig)
            rig = taken_up(rig)
            rig.send_again(spoken)
        else:
            rig.hear(said)
            spoken = np.concatenate([spoken, said])
        rig.due()
    told |= samples_in(rig)
    assert loud(Chunk(0, spoken)) <= told


def loud(chunk: Chunk) -> set[tuple[int, int]]:
    return {
        (chunk.offset + int(at), int(chunk.samples[at])) for at in np.flatnonzero(chunk.samples)
    }


def samples_in(rig: Rig) -> set[tuple[int, int]]:
    """Return every sound that the orchestrator was sent, and where it belongs."""
    chunks = [each for each in rig.sent() if isinstance(each, Chunk)]
    return {each for chunk in chunks for each in loud(chunk)}
