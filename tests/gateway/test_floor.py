from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st

from gateway import commands as do, events as on
from gateway.call import CallSettings
from gateway.clock import STREAM_JITTER_SECONDS
from gateway.floor import TICK_SECONDS, Floor
from gateway.live import LiveCall
from gateway.records import Records
from gateway.vad import MAX_BUFFERED_SECONDS
from tests.gateway.rig import RATE, Loudness, silence, speech
from voicemesh.errors import InvalidInput, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.audio import Samples


class FakeLeg:
    """A caller whose events the test gives."""

    ahead = 0.0

    def __init__(self, *events: on.LegEvent) -> None:
        self.events: list[on.LegEvent | Exception] = list(events)
        self.given: list[do.LegCommand] = []
        self.trouble: VoicemeshError | None = None

    def take(self) -> Iterable[on.LegEvent]:
        while self.events:
            event = self.events.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event

    def give(self, command: do.LegCommand) -> None:
        self.given.append(command)

    def stuck(self, _now: float) -> VoicemeshError | None:
        return self.trouble


class BoundedLoudness(Loudness):
    """Holds as little as the model does."""

    def feed(self, slot: int, samples: Samples) -> None:
        if self._rows[slot][2].size + samples.size > MAX_BUFFERED_SECONDS * RATE:
            raise Refused("too much")
        super().feed(slot, samples)


def floor(vad: Loudness | None = None) -> Floor:
    return Floor(vad or Loudness(), asyncio.get_running_loop().time)


def join(here: Floor, leg: FakeLeg) -> LiveCall:
    return LiveCall("c", CallSettings(rate=RATE), leg, here, Records(None))


@pytest.mark.virtual_time
async def test_it_ticks_without_drift_while_there_is_a_call_and_sleeps_otherwise() -> None:
    times = []

    class Counting(Floor):
        def tick(self) -> None:
            times.append(asyncio.get_running_loop().time())
            super().tick()
            if len(times) == 50:
                self.clear()

    here = Counting(Loudness(), asyncio.get_running_loop().time)
    running = asyncio.create_task(here.run())
    await asyncio.wait([running], timeout=3)
    assert times == []
    join(here, FakeLeg())
    await asyncio.wait([running], timeout=10)
    running.cancel()
    assert len(times) == 50
    np.testing.assert_allclose(np.diff(times), TICK_SECONDS, atol=1e-9)


@pytest.mark.virtual_time
async def test_missed_ticks_are_not_made_up_for() -> None:
    times: list[float] = []
    slow = [0.05]

    def clock() -> float:
        return asyncio.get_running_loop().time() + sum(slow[1:])

    class Slow(Floor):
        def tick(self) -> None:
            times.append(clock())
            slow.append(slow[0] if len(times) == 2 else 0.0)
            if len(times) == 5:
                self.clear()

    here = Slow(Loudness(), clock)
    running = asyncio.create_task(here.run())
    join(here, FakeLeg())
    await asyncio.wait([running], timeout=1)
    running.cancel()
    ticks = np.array([0, 1, 3, 4, 5])
    np.testing.assert_allclose(times, ticks * TICK_SECONDS, atol=1e-9)


@pytest.mark.virtual_time
async def test_what_goes_wrong_in_one_call_hurts_no_other() -> None:
    here = floor()
    bad, worse, good = FakeLeg(), FakeLeg(), FakeLeg(on.CallerSounded(0, speech(0.3)))
    bad.events.append(InvalidInput("audio.offset", "went back"))
    worse.events.append(ZeroDivisionError())
    for leg in (bad, worse, good):
        join(here, leg)
    here.tick()
    assert [type(command) for command in bad.given] == [do.Fail]
    assert [type(command) for command in worse.given] == [do.Fail]
    assert good.given == []
    assert len(here) == 2


@pytest.mark.virtual_time
async def test_a_leg_of_no_use_ends_the_call() -> None:
    here, leg = floor(), FakeLeg()
    join(here, leg)
    leg.trouble = Refused("not read")
    here.tick()
    assert leg.given == [do.Fail(leg.trouble)]


@pytest.mark.virtual_time
async def test_a_burst_is_heard_whole() -> None:
    vad = BoundedLoudness()
    here = floor(vad)
    pieces = [speech(1.0), speech(1.0), silence(1.0)]
    events = [on.CallerSounded(index * RATE, piece) for index, piece in enumerate(pieces)]
    join(here, FakeLeg(*events))
    here.tick()
    assert vad.looked_at == 3 * RATE // 256


@pytest.mark.virtual_time
async def test_a_call_that_ended_leaves_the_floor() -> None:
    here, leg = floor(), FakeLeg(on.CallerLeft())
    join(here, leg)
    running = asyncio.create_task(here.run())
    await asyncio.wait([running], timeout=5)
    running.cancel()
    assert len(here) == 0
    assert isinstance(leg.given[-1], do.End)


class LateGateway:
    """A floor whose process stands still now and then, and the only caller it has.

    After it stood still, the loop first ticks and only then reads what has come.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.leg = FakeLeg()
        self.floor = Floor(Loudness(), lambda: self.now)
        self.clock = join(self.floor, self.leg)._call.uplink.clock
        self._coming: list[tuple[float, int]] = []

    def speak(self, frames: Iterable[int], began: float) -> None:
        """Have frames sent, each when it was spoken."""
        for frame in frames:
            self._coming.append((began + (frame + 1) * TICK_SECONDS, frame))

    def turn(self, late: float) -> None:
        """Let one turn of the loop pass, `late` seconds too late."""
        self.now += TICK_SECONDS + late
        self.floor.tick()
        while self._coming and self._coming[0][0] <= self.now:
            offset = self._coming.pop(0)[1] * FRAME
            self.leg.events.append(on.CallerSounded(offset, speech(TICK_SECONDS, offset)))


FRAME = int(TICK_SECONDS * RATE)
lateness = st.one_of(st.just(0.0), st.just(0.0), st.floats(0, 0.019), st.floats(0.02, 2.0))


@given(st.lists(lateness, min_size=10, max_size=80))
def test_what_the_gateway_is_late_by_is_no_pause_of_a_caller(late: list[float]) -> None:
    gateway = LateGateway()
    until = int((sum(late) + len(late) * TICK_SECONDS) / TICK_SECONDS)
    gateway.speak(range(until), gateway.now)
    for seconds in [*late, 0, 0, 0]:
        gateway.turn(seconds)
    assert gateway.clock.received == until * FRAME


@given(st.lists(lateness, min_size=10, max_size=80), st.integers(1, 40), st.integers(5, 100))
def test_nor_within_the_words_of_one_who_leaves_silence_out(
    late: list[float], spurt: int, pause: int
) -> None:
    gateway = LateGateway()
    until = int((sum(late) + len(late) * TICK_SECONDS) / TICK_SECONDS)
    spoken = [frame for frame in range(until) if frame % (spurt + pause) < spurt]
    gateway.speak(spoken, gateway.now)
    places = []
    place = gateway.clock.place

    def placed(offset: int, count: int, now: float) -> int:
        places.append((offset // FRAME, place(offset, count, now)))
        return places[-1][1]

    gateway.clock.place = placed  # type: ignore[method-assign]
    for seconds in [*late, 0, 0, 0]:
        gateway.turn(seconds)
    assert [frame for frame, _ in places] == spoken
    for (one, at), (two, then) in pairwise(places):
        assert then - at == FRAME or two != one + 1


def test_a_caller_who_falls_silent_is_noticed_however_late_ticks_are() -> None:
    gateway = LateGateway()
    gateway.speak(range(10), gateway.now)
    for _ in range(100):
        gateway.turn(0.15)
    # Ticks 170 ms apart, of which 20 ms count.
    waited = 100 * TICK_SECONDS - 10 * TICK_SECONDS - TICK_SECONDS - STREAM_JITTER_SECONDS
    assert gateway.clock.position(gateway.now) >= 10 * FRAME + (waited - 0.1) * RATE


def test_what_came_while_the_process_stood_still_is_read_before_anything_else() -> None:
    gateway = LateGateway()
    gateway.turn(0)
    gateway.leg.events.append(on.CallerLeft())
    gateway.turn(0.5)
    assert gateway.leg.events, "the tick was left to the next one"
    gateway.turn(0.5)
    assert not gateway.leg.events, "but not for ever"
