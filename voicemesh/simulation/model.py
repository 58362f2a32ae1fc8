"""The simulation itself: batches of calls that begin, are placed, end, and are moved.

Every `step` seconds each region and zone gets a batch of new calls (Poisson), and every region
serves as many openings as its processors manage. Calls of one region, brain and zone are alike, so
that they are a number, and as many of them end as a binomial draw says (lengths are exponential):
a million calls cost no more than ten.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import exp, floor
from typing import TYPE_CHECKING

import numpy as np
import simpy

from voicemesh.simulation.region import Batch, RegionState
from voicemesh.simulation.samples import Point, Result, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from voicemesh.capacity.units import UnitCosts
    from voicemesh.capacity.world import Demand, World
    from voicemesh.simulation.rules import Rules
    from voicemesh.simulation.story import Story


class Simulation:
    """One world, one story."""

    def __init__(
        self,
        world: World,
        demand: Demand,
        story: Story,
        rules: Rules,
        regions: Mapping[str, RegionState],
    ) -> None:
        self._world, self._demand = world, demand
        self._story, self._rules = story, rules
        self._regions = dict(regions)
        self._random = np.random.default_rng(story.seed)
        self._live: dict[tuple[str, str, str], int] = defaultdict(int)
        """Calls by region of the gateway, region of the brain, and zone."""
        self._at_gateway = dict.fromkeys(regions, 0)
        self._at_brain = dict.fromkeys(regions, 0)
        self._tallies = {name: Tally() for name in regions}
        self._points: list[Point] = []
        self._env = simpy.Environment()
        self._processes = {name: dict(one.processes) for name, one in regions.items()}

    def run(self, progress: Callable[[float], None] = lambda _: None) -> Result:
        """Let everything happen; `progress` is told how far it is, 0 to 1, at every sample."""
        env = self._env
        # In this order within each step: calls end, begin, are served, are looked at.
        env.process(self._endings())
        for home, zone in self._demand.shares:
            env.process(self._beginnings(home, zone))
        for name in self._regions:
            env.process(self._serving(name))
        if self._story.lost:
            env.process(self._losing())
        env.process(self._looking(progress))
        env.run(until=self._story.seconds + self._story.step / 2)
        return Result(self._story, tuple(self._points), self._processes)

    # Calls begin and end.

    def _beginnings(self, home: str, zone: str) -> Generator[simpy.Event, None, None]:
        story, share = self._story, self._demand.shares[home, zone]
        while True:
            yield self._env.timeout(story.step)
            now = self._env.now
            mean = story.rate(now - story.step) * share * story.step
            count = int(self._random.poisson(mean))
            if count:
                self._offer(Batch(home, zone, count, now))

    def _endings(self) -> Generator[simpy.Event, None, None]:
        ending = 1 - exp(-self._story.step / self._story.call_seconds)
        while True:
            yield self._env.timeout(self._story.step)
            for key, count in self._live.items():
                if count:
                    self._add(key, -int(self._random.binomial(count, ending)))

    def _add(self, key: tuple[str, str, str], count: int) -> None:
        self._live[key] += count
        self._at_gateway[key[0]] += count
        self._at_brain[key[1]] += count

    # Openings look for a place.

    def _offer(self, batch: Batch) -> None:
        """Put a batch in line at the region of its fence whose turn it is."""
        fence = self._world[batch.home].fences[batch.zone]
        while batch.at < len(fence) and not self._regions[fence[batch.at]].healthy:
            # A caller finds nobody there, and asks the next.
            waits = self._rules.caller_backoff_seconds
            batch = replace(batch, at=batch.at + 1, delay=batch.delay + sum(waits))
        if batch.at >= len(fence):
            self._refuse(batch)
            return
        here, away = self._split(batch)
        region = self._regions[fence[batch.at]]
        if here.count:
            self._tallies[region.name].offered += here.count
            region.waiting.append(here)
        if away.count:
            self._overflow(away)

    def _split(self, batch: Batch) -> tuple[Batch, Batch]:
        """Return what stays with a region that has lost some replicas, and what does not."""
        name = self._world[batch.home].fences[batch.zone][batch.at]
        share = self._rules.local_share(self._regions[name].healthy)
        here = batch.count if share >= 1 else int(self._random.binomial(batch.count, share))
        return replace(batch, count=here), replace(batch, count=batch.count - here)

    def _overflow(self, batch: Batch) -> None:
        name = self._world[batch.home].fences[batch.zone][batch.at]
        self._tallies[name].overflowed += batch.count
        self._offer(replace(batch, at=batch.at + 1))

    def _serving(self, name: str) -> Generator[simpy.Event, None, None]:
        region, step = self._regions[name], self._story.step
        over = 0.0
        while True:
            yield self._env.timeout(step)
            at_gateway, at_brain = self._at_gateway[name], self._at_brain[name]
            budget = region.budget(at_gateway, at_brain, step) + over
            region.opened = self._serve(region, budget)
            region.feel(self._at_gateway[name], self._at_brain[name], step)
            # What is left of a part of an opening is not lost.
            over = (budget - region.opened) % 1.0 if budget < float("inf") else 0.0

    def _serve(self, region: RegionState, budget: float) -> int:
        served = 0
        while region.waiting:
            batch = region.waiting.popleft()
            if self._env.now - batch.born > self._rules.patience_seconds:
                self._refuse(batch, final=True)
                continue
            count = batch.count if budget == float("inf") else min(batch.count, floor(budget))
            budget -= count
            served += count
            if count:
                self._place(replace(batch, count=count), region)
            if count < batch.count:
                region.waiting.appendleft(replace(batch, count=batch.count - count))
                break
        return served

    def _place(self, batch: Batch, region: RegionState) -> None:
        """Give a batch gateways and brains here; what finds no place goes on."""
        name = region.name
        now, new = self._env.now, not batch.resumed
        free = region.brain_room(self._at_brain[name], now, new=new)
        if not batch.gateway:
            free = min(free, region.gateway_room(self._at_gateway[name], now, new=new))
        count = min(free, batch.count)
        if count:
            self._add((batch.gateway or name, name, batch.zone), count)
            self._note(replace(batch, count=count), name)
        if count < batch.count:
            rest = replace(batch, count=batch.count - count)
            self._overflow(replace(rest, delay=rest.delay + self._rules.refusal_seconds()))

    def _note(self, batch: Batch, name: str) -> None:
        tally = self._tallies[name]
        if batch.resumed:
            tally.resumed += batch.count
        else:
            tally.accepted += batch.count
        away = self._world[batch.home].away_ms.get(name, 0.0) / 1000 if name != batch.home else 0.0
        waited = self._env.now - batch.born + batch.delay + away
        tally.waits.append((waited, batch.count))

    def _refuse(self, batch: Batch, *, final: bool = False) -> None:
        """Let callers begin again after a while, as often as they do; then they have failed."""
        waits = self._rules.resume_backoff_seconds if batch.resumed else ()
        waits = waits or self._rules.caller_backoff_seconds
        patient = self._env.now - batch.born < self._rules.patience_seconds
        if not final and patient and batch.tries < len(waits):
            self._env.process(self._again(batch, waits[batch.tries]))
        elif batch.resumed:
            self._tallies[batch.home].lost += batch.count
        else:
            self._tallies[batch.home].refused += batch.count

    def _again(self, batch: Batch, wait: float) -> Generator[simpy.Event, None, None]:
        # A gateway asks again itself before it tells the caller that the mesh is full.
        wait += (self._rules.session_attempts - 1) * self._rules.refusal_seconds()
        yield self._env.timeout(max(wait, self._story.step))
        self._offer(replace(batch, at=0, tries=batch.tries + 1, delay=0.0))

    # A region is lost.

    def _losing(self) -> Generator[simpy.Event, None, None]:
        story = self._story
        # Half a step later, so that it falls between two steps.
        yield self._env.timeout(story.lost_at + story.step / 2)
        region = self._regions[story.lost]
        region.lose(story.lost_share)
        whole = region.healthy == 0
        waiting, region.waiting = list(region.waiting), type(region.waiting)()
        for batch in waiting:
            self._offer(batch)
        for key in [key for key, count in self._live.items() if count]:
            self._uproot(key, whole=whole)

    def _uproot(self, key: tuple[str, str, str], *, whole: bool) -> None:
        """Have the calls of lost replicas go on elsewhere."""
        gateway, brain, zone = key
        lost, share = self._story.lost, self._story.lost_share
        if lost not in (gateway, brain) or (brain != lost and not whole):
            return
        count = self._live[key] if whole else int(self._random.binomial(self._live[key], share))
        self._add(key, -count)
        keeps = gateway if not (whole and gateway == lost) else ""
        home = keeps or lost
        delay = self._rules.detect_seconds
        now = self._env.now
        self._offer(Batch(home, zone, count, now, delay, gateway=keeps, resumed=True))

    # What is seen.

    def _looking(self, progress: Callable[[float], None]) -> Generator[simpy.Event, None, None]:
        story = self._story
        while True:
            yield self._env.timeout(story.sample)
            for name in self._regions:
                self._points.append(self._point(name))
                self._tallies[name] = Tally()
            progress(min(self._env.now / story.seconds, 1.0))

    def _point(self, name: str) -> Point:
        region, tally = self._regions[name], self._tallies[name]
        loads = region.loads(self._at_gateway[name], self._at_brain[name], self._story.step)
        busiest = max(loads, key=lambda kind: loads[kind], default="")
        set_up = _set_up(region.units, region.crowding(loads), tally)
        turn = region.units.latencies.get("turn_p50")
        return Point(
            seconds=self._env.now,
            region=name,
            calls=self._at_gateway[name],
            brains=self._at_brain[name],
            offered=tally.offered,
            accepted=tally.accepted,
            overflowed=tally.overflowed,
            refused=tally.refused,
            lost=tally.lost,
            resumed=tally.resumed,
            waiting=sum(batch.count for batch in region.waiting),
            busiest=busiest,
            utilisation=loads.get(busiest, 0.0),
            set_up_p50_ms=set_up[0],
            set_up_p99_ms=set_up[1],
            turn_p50_ms=turn.at(region.crowding(loads)) if turn and loads else None,
        )


def _set_up(units: UnitCosts, crowding: float, tally: Tally) -> tuple[float | None, float | None]:
    """Return p50 and p99 of call set-up, milliseconds: an idle mesh's, plus what calls waited."""
    half, most = units.latencies.get("set_up_p50"), units.latencies.get("set_up_p99")
    if half is None or most is None or not tally.waits:
        return None, None
    p50, p99 = (1000 * tally.percentile(share) for share in (0.5, 0.99))
    return half.at(crowding) + p50, max(half.at(crowding) + p99, most.at(crowding) + p50)
