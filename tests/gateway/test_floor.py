from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway import commands as do, events as on
from gateway.call import CallSettings
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
    np.testing.assert_allclose(times, [0.0, 0.02, 0.08, 0.1, 0.12], atol=1e-9)


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


@pytest.mark.virtual_time
async def test_while_the_process_stood_still_no_caller_was_silent() -> None:
    here = floor()
    leg = FakeLeg()
    live = join(here, leg)
    clock = live._call.uplink.clock
    for frame in range(100):
        size = int(TICK_SECONDS * RATE)
        leg.events.append(on.CallerSounded(frame * size, speech(TICK_SECONDS, frame * size)))
        if frame != 50:
            # For the whole of the second after frame 50 nothing is read and nothing ticks.
            here.tick()
            assert clock.received == (frame + 1) * size
        loop = asyncio.get_running_loop()
        moved = loop.create_future()
        loop.call_later(1.0 if frame == 50 else TICK_SECONDS, moved.set_result, None)
        await moved
