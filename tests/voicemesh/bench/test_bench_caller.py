from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from voicemesh.bench.caller import SILENT, Caller, Manner, Phase
from voicemesh.bench.tally import Tally

RATE = 8000
STEP = 0.02
MANNER = Manner(frames=50, silence=1.0, interrupting=0.0, patience=3.0)


class Mesh:
    """A bot that answers `delay` after its caller has spoken, for `reply` seconds."""

    def __init__(self, caller: Caller, delay: float = 0.3, reply: float = 0.8) -> None:
        self.caller = caller
        self.now = 100.0
        self.sent: list[int] = []
        self.delay, self.reply = delay, reply
        self.offset = 0
        self.heeds = True
        self._answer_at: float | None = None
        self._left = 0

    def begin(self, greeting: float = 0.4) -> None:
        self.caller.place(self.now)
        self.now += 0.05
        self.caller.started(self.now)
        self._left = round(greeting / STEP)

    def step(self) -> None:
        frame = self.caller.frame(self.now)
        self.sent.append(frame)
        if frame == 0 and self._left and self.heeds:
            self._left = 0
            self.caller.cleared(self.offset, self.now + 0.005)
        if frame == MANNER.frames - 1:
            self._answer_at = self.now + self.delay
        if self._answer_at is not None and self.now + STEP / 2 > self._answer_at:
            self._answer_at = None
            self._left = round(self.reply / STEP)
        if self._left:
            self._left -= 1
            self.caller.heard(self.offset, 160, self.now + 0.01)
            self.offset += 160
        self.now += STEP

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.step()


def doing(caller: Caller) -> Phase:
    return caller.phase


def calling(manner: Manner = MANNER, number: int = 0) -> tuple[Mesh, Caller, Tally]:
    tally = Tally()
    caller = Caller(number, manner, tally, RATE)
    return Mesh(caller), caller, tally


def test_speech_silence_answer_and_again() -> None:
    mesh, caller, tally = calling()
    mesh.begin()
    mesh.run(0.88)
    assert set(mesh.sent) == {SILENT}
    mesh.run(1.1)
    spoken = [frame for frame in mesh.sent if frame != SILENT]
    assert spoken == list(range(50))
    assert doing(caller) is Phase.WAITING
    mesh.run(0.3)
    assert doing(caller) is Phase.LISTENING
    assert list(tally.turns) == pytest.approx([0.31])
    assert list(tally.setups) == pytest.approx([0.05])
    mesh.run(6.0)
    assert list(tally.turns) == pytest.approx([0.31] * 3)
    assert max(tally.lateness) < 1e-6
    assert tally.early_answers == 0


def test_silence_is_as_long_as_speech_even_if_the_bot_is_brief() -> None:
    mesh, _, _ = calling()
    mesh.reply = 0.1
    mesh.begin()
    mesh.run(6.0)
    silence = mesh.sent.index(0, mesh.sent.index(49)) - mesh.sent.index(49)
    assert silence == pytest.approx(50, abs=1)


def test_an_interruption_lasts_until_the_bot_is_cut_off() -> None:
    mesh, _, tally = calling(Manner(50, 1.0, interrupting=1.0, interrupt_after=0.6, patience=3.0))
    mesh.reply = 5.0
    mesh.begin()
    mesh.run(8.0)
    assert len(tally.turns) >= 3
    assert len(tally.interruptions) >= 3
    assert max(tally.interruptions) == pytest.approx(0.005, abs=1e-4)
    assert tally.unheeded_interruptions == 0


def test_a_bot_that_does_not_heed_an_interruption_is_noted() -> None:
    mesh, _, tally = calling(Manner(50, 1.0, interrupting=1.0, patience=3.0))
    mesh.heeds, mesh.reply = False, 1.0
    mesh.begin()
    mesh.run(10.0)
    assert tally.unheeded_interruptions >= 2
    assert not tally.interruptions
    assert not tally.failures


def test_a_share_of_the_answers_is_interrupted() -> None:
    manner = Manner(50, 1.0, interrupting=0.2, patience=3.0)
    count = turns = 0
    for number in range(10):
        mesh, _, tally = calling(manner, number)
        mesh.reply = 2.0
        mesh.begin()
        mesh.run(40.0)
        count += len(tally.interruptions)
        turns += len(tally.turns)
    assert count / turns == pytest.approx(0.2, abs=0.05)


def test_no_answer_fails_the_call_once() -> None:
    mesh, caller, tally = calling()
    mesh.delay = 1000
    mesh.begin()
    mesh.run(6.0)
    assert (caller.phase, caller.failure) == (Phase.OVER, "NO_ANSWER")
    caller.fail("LATER")
    assert dict(tally.failures) == {"NO_ANSWER": 1}


def test_a_call_that_is_not_answered_fails() -> None:
    mesh, caller, _ = calling()
    caller.place(mesh.now)
    mesh.run(3.1)
    assert caller.failure == "NOT_STARTED"


def test_a_bot_without_a_greeting_is_spoken_to() -> None:
    mesh, caller, _ = calling()
    mesh.begin(greeting=0)
    mesh.run(2.6)
    assert doing(caller) is Phase.SPEAKING


def test_an_answer_into_the_callers_words_is_noted_as_early() -> None:
    mesh, caller, tally = calling()
    mesh.begin()
    mesh.run(1.5)
    assert doing(caller) is Phase.SPEAKING
    caller.heard(mesh.offset, 160, mesh.now)
    assert tally.early_answers == 1


def test_only_what_lies_in_the_measurement_counts() -> None:
    mesh, caller, tally = calling()
    tally.begin, tally.end = 105.0, 108.0
    mesh.begin()
    mesh.run(12.0)
    assert 1 <= len(tally.turns) <= 2
    assert caller.may_end() == (caller.phase is not Phase.WAITING)


def test_callers_do_not_speak_in_chorus() -> None:
    onsets = set()
    for number in range(20):
        mesh, _, _ = calling(number=number)
        mesh.begin()
        mesh.run(2.5)
        onsets.add(mesh.sent.index(0))
    assert len(onsets) >= 15


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("frame"), st.integers(0, 400)),
            st.tuples(st.just("heard"), st.integers(-200, 4000)),
            st.tuples(st.just("clear"), st.integers(-200, 200)),
            st.tuples(st.just("started"), st.just(0)),
        ),
        max_size=200,
    )
)
def test_whatever_happens_frames_come_in_order(events: list[tuple[str, int]]) -> None:
    _, caller, tally = calling()
    now, offset, before = 1.0, 0, SILENT
    caller.place(now)
    for kind, number in events:
        if kind == "frame":
            now += number / 100
            frame = caller.frame(now)
            assert frame in {SILENT, 0, before + 1}
            assert frame != 0 or before in {SILENT, 49}
            before = frame
        elif kind == "heard":
            offset = max(offset + number, 0)
            caller.heard(offset, 160, now)
        elif kind == "clear":
            caller.cleared(offset + number, now)
        else:
            caller.started(now)
    assert sum(tally.failures.values()) <= 1
    assert len(tally.setups) <= 1
