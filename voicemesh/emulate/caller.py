"""A caller in real time, for scripts as `voicemesh.client.perform` takes them, over any leg."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from voicemesh.audio import write_wav
from voicemesh.client.answers import answers
from voicemesh.client.mouth import FRAME_SECONDS, CallerClock, Mouth
from voicemesh.client.saying import Saying, check_digits
from voicemesh.errors import DeadlineMissed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from voicemesh.audio import Samples
    from voicemesh.client.answers import Answer
    from voicemesh.client.events import Turn
    from voicemesh.client.playback import Playback
    from voicemesh.client.saying import Said


class EmulatedCaller:
    """What every emulated call has: a mouth, an ear, a clock. Its leg sends and hears for it."""

    def __init__(
        self, rate: int, playback: Playback, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.playback = playback
        """What the caller hears."""
        self.mouth = Mouth(rate)
        self.sent = CallerClock(self.mouth.frame_size)
        self.turns: list[Turn] = []
        """None: no phone is told where the time of a turn went."""
        self.placed_at = clock()
        self.first_audio_at: float | None = None
        self.hung_up = False
        """Whether the caller ended the call."""
        self._saying = Saying(self.mouth)
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        """Return whether the call has ended."""
        return self._over.is_set()

    def say(self, samples: Samples) -> Said:
        """Queue speech at the leg's rate; await what is returned to wait until it was said."""
        return self._saying.say(samples)

    def dtmf(self, digits: str) -> None:
        """Press keys, one after another."""
        check_digits(digits)
        for digit in digits:
            self._press(digit)

    def hang_up(self) -> None:
        """End the call; `wait_ended` tells when it is over."""
        if not (self.hung_up or self.over):
            self.hung_up = True
            self._leave()

    async def wait_ended(self, seconds: float | None = None) -> None:
        """Return at the end of the call; raise DeadlineMissed if that does not come."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError as error:
            raise DeadlineMissed(f"the call did not end within {seconds:g} s") from error

    async def change(self, seconds: float | None = None) -> None:
        """Return when something came, at the end of the call, or after `seconds`."""
        if not self.over:
            changed = self._changed
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), seconds)

    def answers(self) -> list[Answer]:
        """Return how long each answer took, end of speech to first bot audio, at this end."""
        return answers(self.mouth, self.sent, self.playback)

    def record(self, path: Path) -> None:
        """Write what was said and heard so far: caller left, bot right."""
        began = self.sent.began
        heard = self.playback.track(self.clock() if began is None else began, self.mouth.rate)
        write_wav(path, self.mouth.rate, self.mouth.track(), heard)

    # What its leg does.

    def _press(self, digit: str) -> None:
        raise NotImplementedError

    def _leave(self) -> None:
        """Tell the other side that the caller hangs up."""
        raise NotImplementedError

    def _sound(self, samples: Samples) -> None:
        """Send 20 ms of the caller's sound."""
        raise NotImplementedError

    def _tick(self) -> None:
        """Do whatever else is due; every 20 ms."""

    # What its leg tells.

    @asynccontextmanager
    async def _speaking(self) -> AsyncIterator[None]:
        """Send sound while the block runs."""
        speaking = asyncio.create_task(self._speak())
        try:
            yield
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    def _came(self) -> None:
        """Take note that something came."""
        if self.first_audio_at is None and self.playback.stretches:
            self.first_audio_at = self.clock()
        self._notify()

    def _ended(self) -> None:
        self._over.set()
        self._saying.over()
        self._notify()

    async def _speak(self) -> None:
        """Send a frame every 20 ms; one that is late does not make the next one late."""
        began, frames = self.clock(), 0
        while not self.over:
            due = began + frames * FRAME_SECONDS
            await asyncio.sleep(max(due - self.clock(), 0))
            frames += 1
            self._tick()
            if not self.hung_up:
                frame = self.mouth.frame()
                if frame is not None:
                    self._sound(frame.samples)
                self.sent.tick(self.clock())
                self._saying.moved()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
