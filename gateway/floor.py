"""The floor: one tick for all calls of the process.

Between ticks, readers only append to queues. A tick takes in what every leg received, has voice
activity look at all of it in one run, and lets time pass for the calls that are due. There is no
task, timer or lock for a call or a frame here. While there is no call it sleeps.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from gateway import metrics
from gateway.events import Ticked
from voicemesh.errors import Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.live import LiveCall
    from gateway.vad import Window
    from voicemesh.audio import Samples

TICK_SECONDS = 0.032
"""What voice activity looks at in one step: a call has one window in each tick, not in most."""
LATE_SECONDS = TICK_SECONDS
"""From so much lateness on a tick excuses callers: nobody could be heard meanwhile."""
STALL_SECONDS = 0.1
"""From so much on, what came meanwhile is read first, whoever has left included."""
MOST_AT_ONCE = 4000
"""Samples that voice activity can hold besides a window."""
BUSY_CALLS = 50
"""From so many calls on messages carry more."""

_CALM, _BUSY = Ticked(chunk_ms=100), Ticked(chunk_ms=200)


class VoiceActivity(Protocol):
    """Voice activity of many calls: `gateway.vad.VadBatch`."""

    def open(self, rate: int, /) -> int:
        """Begin a call."""

    def close(self, slot: int, /) -> None:
        """End it."""

    def feed(self, slot: int, samples: Samples, /) -> None:
        """Take its samples; raise Refused until the next run if there are too many."""

    def skip(self, slot: int, gap: int, /) -> list[Window]:
        """Pass over its silence."""

    def run(self) -> list[Window]:
        """Look at everything."""


class Floor:
    """The calls of this process."""

    def __init__(self, vad: VoiceActivity, clock: Callable[[], float]) -> None:
        self._vad = vad
        self._clock = clock
        self._calls: dict[int, LiveCall] = {}
        self._occupied = asyncio.Event()
        self._tick_time: float | None = None
        self._next_tick = 0.0
        self._catching_up = False

    def __len__(self) -> int:
        return len(self._calls)

    def now(self) -> float:
        """Return the time: during a tick that of the tick."""
        return self._clock() if self._tick_time is None else self._tick_time

    def join(self, live: LiveCall, rate: int) -> int:
        """Take a call in; return its slot."""
        slot = self._vad.open(rate)
        if not self._calls:
            self._next_tick = self._clock() + TICK_SECONDS
        self._calls[slot] = live
        self._occupied.set()
        return slot

    def leave(self, slot: int) -> None:
        """Let a call go."""
        if self._calls.pop(slot, None) is not None:
            self._vad.close(slot)
        if not self._calls:
            self._occupied.clear()

    def clear(self) -> None:
        """Let every call go at once."""
        for live in tuple(self._calls.values()):
            live.abandon()

    def feed(self, slot: int, samples: Samples) -> None:
        """Have voice activity look at samples, at the latest when it can hold no more."""
        try:
            self._vad.feed(slot, samples)
        except Refused:
            # However long nobody could be heard.
            for begin in range(0, samples.size, MOST_AT_ONCE):
                self._listen()
                self._vad.feed(slot, samples[begin : begin + MOST_AT_ONCE])

    def skip(self, slot: int, gap: int) -> list[Window]:
        """Have voice activity pass over silence."""
        return self._vad.skip(slot, gap)

    async def run(self) -> None:
        """Tick until cancelled, whenever there is a call."""
        while True:
            await self._occupied.wait()
            due = self._clock()
            while self._calls:
                began = self._clock()
                self.tick()
                ended = self._clock()
                metrics.TICK_LATE_SECONDS.observe(max(0.0, began - due))
                metrics.TICK_SECONDS.observe(ended - began)
                # Ticks that were missed are not made up for: everything is told by the clock.
                due += TICK_SECONDS * max(1, -(-(ended - due) // TICK_SECONDS))
                if self._catching_up:
                    due = ended + TICK_SECONDS
                await asyncio.sleep(due - ended)

    def tick(self) -> None:
        """Do everything that is due."""
        self._tick_time = self._clock()
        try:
            if self._stalled(self._tick_time):
                return
            for live in tuple(self._calls.values()):
                self._guard(live, live.take_in)
            self._listen()
            event = _BUSY if len(self._calls) >= BUSY_CALLS else _CALM
            for live in tuple(self._calls.values()):
                self._guard(live, live.tick, event)
        finally:
            self._tick_time = None

    def _stalled(self, now: float) -> bool:
        """Excuse callers if this tick is late; return whether it is better left to the next one."""
        late, self._next_tick = now - self._next_tick, now + TICK_SECONDS
        if late >= LATE_SECONDS:
            for live in tuple(self._calls.values()):
                live.stood_still(late)
        # Never two in a row: who is always late has to go on all the same.
        self._catching_up = late >= STALL_SECONDS and not self._catching_up
        return self._catching_up

    def _listen(self) -> None:
        for window in self._vad.run():
            live = self._calls.get(window.slot)
            if live is not None:
                self._guard(live, live.hear, window)

    @staticmethod
    def _guard(live: LiveCall, method: Callable[..., None], *arguments: object) -> None:
        """Keep what goes wrong in one call from the others."""
        try:
            method(*arguments)
        except VoicemeshError as error:
            live.fail(error)
        except Exception as error:
            live.crash(error)
