from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from voicemesh.client import resuming as state
from voicemesh.client.resuming import (
    GIVE_UP_SECONDS,
    MAX_PENDING,
    Dial,
    Drop,
    GiveUp,
    Leave,
    LineEnded,
    LineSpoke,
    LineStood,
    MoveAsked,
    Phase,
    Resuming,
    Switch,
    Ticked,
)
from voicemesh.errors import Denied, Superseded, VoicemeshError

DENIED = Denied("no")


def dials(commands: list[state.Command]) -> list[int]:
    return [each.line for each in commands if isinstance(each, Dial)]


def test_a_broken_line_is_replaced_at_once() -> None:
    lines = Resuming(0)
    assert lines.handle(LineEnded(0), 10) == [Dial(1, warm=True)]
    assert lines.handle(LineStood(1), 10.03) == [Switch(1)]
    assert (lines.phase, lines.current) == (Phase.UP, 1)


def test_attempts_that_fail_are_spaced_and_end() -> None:
    lines, now, when = Resuming(0), 10.0, []
    commands = lines.handle(LineEnded(0), now)
    while GiveUp() not in commands:
        for line in dials(commands):
            when.append(now)
            commands = lines.handle(LineEnded(line), now)
            if dials(commands):
                break
        else:
            now += 0.01
            commands = lines.handle(Ticked(), now)
    waits = [round(b - a, 1) for a, b in pairwise(when)]
    assert waits[:7] == [0.0, 0.1, 0.1, 0.2, 0.4, 0.8, 1.0]
    assert now == pytest.approx(10 + GIVE_UP_SECONDS, abs=0.02)
    assert lines.phase is Phase.OVER


def test_who_does_not_answer_is_not_waited_for_nor_forgotten() -> None:
    lines = Resuming(0)
    lines.handle(LineEnded(0), 0)
    assert lines.handle(Ticked(), 0.1) == []
    assert lines.handle(Ticked(), 0.13) == [Dial(2)]
    assert lines.handle(Ticked(), 0.45) == [Dial(3)]
    # The slow one made it after all.
    assert lines.handle(LineStood(1), 0.5) == [Switch(1), Drop(2), Drop(3)]
    assert lines.handle(LineStood(3), 0.6) == [Drop(3)]
    # And is fenced by one of ours that was dropped too late: nobody else has the call.
    ended = LineEnded(1, Superseded("x"), superseded=True)
    assert dials(lines.handle(ended, 0.7)) or dials(lines.handle(Ticked(), 1.0))


def test_somebody_else_who_has_the_call_keeps_it() -> None:
    lines, gone = Resuming(0), Superseded("x")
    assert lines.handle(LineEnded(0, gone, superseded=True), 1) == [GiveUp(gone)]


def test_what_another_gateway_would_say_too_is_final() -> None:
    lines = Resuming(0)
    assert lines.handle(LineEnded(0, DENIED), 1) == [GiveUp(DENIED)]
    lines = Resuming(0)
    lines.handle(LineEnded(0), 0)
    lines.handle(Ticked(), 0.2)
    assert lines.handle(LineEnded(1, DENIED), 0.3) == [Drop(2), GiveUp(DENIED)]


def test_a_move_is_made_beside_the_line_that_stands() -> None:
    lines = Resuming(0)
    assert lines.handle(MoveAsked(10), 1) == [Dial(1, warm=True)]
    assert lines.current == 0
    assert lines.handle(LineStood(1), 1.03) == [Switch(1), Leave(0)]


def test_a_move_that_took_too_long_is_made_again() -> None:
    lines = Resuming(0)
    lines.handle(MoveAsked(10), 1)
    assert lines.handle(LineStood(1, stale=True), 1.03) == [Drop(1)]
    assert lines.handle(Ticked(), 1.2) == [Dial(2)]
    assert lines.handle(LineStood(2), 1.3) == [Switch(2), Leave(0)]


def test_a_move_that_is_refused_is_left_at_that() -> None:
    lines = Resuming(0)
    lines.handle(MoveAsked(10), 1)
    assert lines.handle(LineEnded(1, DENIED), 1.1) == []
    assert (lines.phase, lines.current) == (Phase.UP, 0)
    assert lines.handle(Ticked(), 5) == []


def test_a_line_that_breaks_during_a_move_is_replaced_by_the_next() -> None:
    lines = Resuming(0)
    lines.handle(MoveAsked(10), 1)
    assert lines.handle(LineEnded(0, Superseded("x"), superseded=True), 1.05) == []
    assert lines.phase is Phase.SEEKING
    assert lines.handle(LineStood(1), 1.06) == [Switch(1)]


def test_lines_that_break_at_once_are_given_up_in_the_end() -> None:
    lines, now = Resuming(0), 100.0
    commands = lines.handle(LineEnded(0), now)
    while lines.phase is not Phase.OVER:
        for line in dials(commands):
            lines.handle(LineStood(line), now)
            lines.handle(LineEnded(line), now)
        now += 0.02
        commands = lines.handle(Ticked(), now)
        assert now < 120


def ticked(
    lines: Resuming, begin: float, end: float, *, bound: bool = False
) -> list[state.Command]:
    """Let time pass in ticks of 20 ms; return what came of it."""
    count = round((end - begin) / 0.02)
    return [
        command
        for tick in range(1, count + 1)
        for command in lines.handle(Ticked(bound), begin + tick * 0.02)
    ]


def test_a_line_that_falls_silent_broke() -> None:
    lines = Resuming(0, silence=0.4)
    assert ticked(lines, 0, 0.38) == []
    lines.handle(LineSpoke(0), 0.38)
    assert ticked(lines, 0.38, 0.76) == []
    assert ticked(lines, 0.76, 0.8) == [Drop(0), Dial(1)]
    lines.handle(LineStood(1, silence=0.4), 0.82)
    assert lines.current == 1


def test_a_line_that_promised_nothing_may_be_silent() -> None:
    assert ticked(Resuming(0), 0, 60) == []


def test_a_silent_line_is_waited_for_where_nothing_could_take_its_place() -> None:
    lines = Resuming(0, silence=0.4)
    assert ticked(lines, 0, 5, bound=True) == []
    assert ticked(lines, 5, 5.02) == [Drop(0), Dial(1)]


@given(st.floats(0.1, 30))
def test_what_this_process_is_late_by_is_no_silence(late: float) -> None:
    lines = Resuming(0, silence=0.4)
    ticked(lines, 0, 0.2)
    assert lines.handle(Ticked(), 0.2 + late) == []
    assert ticked(lines, 0.2 + late, 0.2 + late + 0.18) == []
    # What had come meanwhile was read by then, or there was nothing.
    assert Dial(1) in ticked(lines, 0.38 + late, 0.38 + late + 0.3)


def test_lines_that_fall_silent_one_after_another_are_waited_for_longer() -> None:
    lines, now, waits = Resuming(0, silence=0.4), 0.0, []
    for number in range(1, 7):
        began = now
        while Dial(number) not in ticked(lines, now, now + 0.02):
            now += 0.02
        now += 0.02
        waits.append(now - began)
        lines.handle(LineStood(number, silence=0.4), now)
    # Up to 60 ms more for the pause between two failures.
    assert waits == pytest.approx([0.4, 0.8, 1.6, 3.2, 3.2, 3.2], abs=0.1)
    for _ in range(60):
        now += 0.2
        lines.handle(LineSpoke(6), now)
        lines.handle(Ticked(), now)
    assert Dial(7) in ticked(lines, now, now + 0.42)


events = st.one_of(
    st.tuples(st.just("stood"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("spoke"), st.integers(0, 9), st.none()),
    st.tuples(st.just("ended"), st.integers(0, 9), st.sampled_from(["", "denied", "superseded"])),
    st.tuples(st.just("move"), st.floats(0, 5), st.none()),
    st.tuples(st.just("tick"), st.floats(0, 1), st.none()),
    st.tuples(st.just("over"), st.none(), st.none()),
)


def event_of(what: str, first: object, second: object) -> state.Event:
    match what:
        case "stood":
            return LineStood(int(str(first)), bool(second), 0.4)
        case "spoke":
            return LineSpoke(int(str(first)))
        case "ended":
            errors: dict[object, VoicemeshError] = {"denied": DENIED, "superseded": Superseded("x")}
            return LineEnded(int(str(first)), errors.get(second), second == "superseded")
        case "move":
            return MoveAsked(float(str(first)))
        case "over":
            return state.CallOver()
    return Ticked()


class Watched:
    """Lines as the shell has them, and what must hold of them whatever happens."""

    def __init__(self) -> None:
        self.lines, self.now, self.open = Resuming(0, 0.4), 0.0, {0}
        self.given_up = self.newest = 0

    def handle(self, event: state.Event) -> None:
        if isinstance(event, LineEnded | LineStood) and event.line not in self.open:
            return
        if isinstance(event, LineEnded):
            self.open.discard(event.line)
        commands = self.lines.handle(event, self.now)
        if isinstance(event, LineEnded) and event.superseded and event.line < self.newest:
            # By a line of its own that it had dialled later: nobody else has the call.
            assert GiveUp(event.fatal) not in commands
        for command in commands:
            self.carry_out(command)
        self.check()

    def carry_out(self, command: state.Command) -> None:
        match command:
            case Dial(line):
                assert line not in self.open
                self.newest = line
                self.open.add(line)
            case Drop(line):
                self.open.discard(line)
            case Leave(line):
                assert line in self.open - {self.lines.current}
                self.open.discard(line)
            case Switch(line):
                assert line == self.lines.current
            case GiveUp():
                self.given_up += 1

    def check(self) -> None:
        lines, phase = self.lines, self.lines.phase
        assert self.given_up <= 1
        assert len(self.open - {lines.current}) <= MAX_PENDING or phase is Phase.OVER
        if phase in (Phase.UP, Phase.MOVING):
            assert lines.current in self.open


@given(st.lists(events, max_size=60))
def test_whatever_happens_there_is_one_line_a_way_to_one_or_an_end(
    script: list[tuple[str, object, object]],
) -> None:
    watched = Watched()
    for what, first, second in script:
        watched.now += float(str(first)) if what == "tick" else 0.0
        watched.handle(event_of(what, first, second))
    if watched.lines.phase is Phase.SEEKING:
        # From here on it ends one way or the other without any help.
        for _ in range(100):
            watched.now += 0.1
            watched.handle(Ticked())
        assert watched.given_up
