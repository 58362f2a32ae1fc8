"""One process of the load generator: `python -m voicemesh.bench.worker`.

It reads a job (one line of JSON), connects, writes `{"ready": true}`, reads when to begin, and
writes what its calls measured. All times are those of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import uvloop

from voicemesh.bench.caller import Caller, Manner, Phase
from voicemesh.bench.clip import FRAME_SECONDS, RATE, recorded
from voicemesh.bench.lines import LINES
from voicemesh.bench.tally import Tally

if TYPE_CHECKING:
    from voicemesh.bench.legs import Leg, Line

PHASES = 4
"""Calls are spread over so many instants of each 20 ms, as real callers are; frames of all calls
at once would be a burst that only a benchmark makes."""
TICK_SECONDS = FRAME_SECONDS / PHASES
GOODBYE_SECONDS = 5.0
"""How long the mesh may take to end calls that were hung up."""


@dataclass(frozen=True)
class Job:
    """What one process does."""

    target: str
    """Where calls come in."""
    bot: str
    """Whom they call."""
    numbers: tuple[int, ...]
    """The calls, among those of all processes."""
    calls: int
    """How many all processes hold."""
    manner: Manner
    leg: str = "grpc"
    """How they come: a name in `voicemesh.bench.lines`."""
    call_seconds: float | None = None
    """After so long a caller hangs up, and another one calls in its place; None: at the end."""
    connect_seconds: float = 10.0
    """How long connecting may take."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Return the job that was told."""
        known = {"numbers": tuple(told["numbers"]), "manner": Manner(**told["manner"])}
        return cls(**told | known)


@dataclass(frozen=True)
class Plan:
    """When everything happens, on the monotonic clock."""

    start: float
    """The first call is placed."""
    ramp: float
    """Seconds over which calls are placed evenly."""
    begin: float
    """The measurement begins."""
    end: float
    """It ends; callers hang up when nothing measured is pending."""


@dataclass(eq=False, slots=True)
class _Held:
    """One call, from the moment it is placed."""

    caller: Caller
    leg: Leg
    over: asyncio.Task[None]
    until: float = math.inf
    """When its caller hangs up, at the next moment that cuts nothing off."""


class Worker:
    """Places calls when they are due, and moves them all on by one clock."""

    def __init__(self, job: Job, line: Line) -> None:
        self.tally = Tally()
        self._job = job
        self._line = line
        self._clip = recorded()
        self._ends: set[asyncio.Task[None]] = set()
        self._free: list[int] = []
        """Callers to come, in place of those that have hung up."""
        self._shifts: list[list[_Held]] = [[] for _ in range(PHASES)]

    async def run(self, plan: Plan) -> None:
        """Hold all calls until the plan is over."""
        self.tally.begin, self.tally.end = plan.begin, plan.end
        clock, tick = time.monotonic, 0
        waiting = list(reversed(self._job.numbers))
        while waiting or any(self._shifts):
            due = plan.start + tick * TICK_SECONDS
            await asyncio.sleep(max(due - clock(), 0))
            now = clock()
            self.tally.tick(max(now - due, 0.0), now)
            if self._free and now < plan.end:
                self._place(self._free.pop(), now)
            if waiting and now >= plan.start + plan.ramp * waiting[-1] / self._job.calls:
                self._place(waiting.pop(), now)
            self._move(tick % PHASES, now)
            tick += 1
        await self._say_goodbye()

    def _place(self, number: int, now: float) -> None:
        caller = Caller(number, self._job.manner, self.tally, RATE)
        leg = self._line.leg(caller, self.tally, self._clip)
        life = self._job.call_seconds
        until = math.inf if life is None else now + life
        held = _Held(caller, leg, asyncio.create_task(leg.run()), until)
        self._ends.add(held.over)
        held.over.add_done_callback(self._ends.discard)
        self._shifts[self.tally.placed % PHASES].append(held)
        self.tally.placed += 1

    def _move(self, phase: int, now: float) -> None:
        """Give each call of one phase its next 20 ms."""
        shift, ending = self._shifts[phase], now >= self.tally.end
        live = 0
        for held in shift:
            caller = held.caller
            if caller.phase is Phase.CALLING:
                caller.frame(now)  # which gives up in the end
            elif caller.phase is not Phase.OVER:
                live += 1
                if (ending or now >= held.until) and caller.may_end():
                    held.leg.hang_up()
                    if not ending:
                        self._free.append(self.tally.placed + len(self._free))
                else:
                    held.leg.send(caller.frame(now))
        self.tally.live(live * FRAME_SECONDS, now)
        if live < len(shift):
            self._shifts[phase] = [held for held in shift if self._goes_on(held)]

    @staticmethod
    def _goes_on(held: _Held) -> bool:
        if held.caller.failure:
            held.over.cancel()  # it may still hold a stream that nobody listens to
        return held.caller.phase is not Phase.OVER

    async def _say_goodbye(self) -> None:
        ends = list(self._ends)
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=GOODBYE_SECONDS)
        for task in late:
            self.tally.failed("NOT_ENDED")
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    job = Job.from_json(json.loads(await orders.readline()))
    line = LINES[job.leg](job.target, job.bot, len(job.numbers))
    try:
        await line.open(job.connect_seconds)
    except TimeoutError:
        _tell({"error": f"{job.target}: no connection within {job.connect_seconds:g} s"})
        return
    gc.collect()
    gc.freeze()
    gc.disable()  # a job is short, and a collection would look like a late frame
    _tell({"ready": True})
    worker = Worker(job, line)
    running = asyncio.create_task(worker.run(Plan(**json.loads(await orders.readline()))))
    # Whoever started us closes our input, by leaving too: then nobody wants the figures any more.
    left = asyncio.create_task(orders.read())
    await asyncio.wait((running, left), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
        _tell({"tally": worker.tally.to_json()})
    await line.close()


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
