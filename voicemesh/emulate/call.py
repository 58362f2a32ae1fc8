"""A call that an emulated carrier places, for scripts as `voicemesh.client.perform` takes them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import numpy as np

from voicemesh.audio import write_wav
from voicemesh.carriers.dialect import DialectSettings
from voicemesh.client.answers import answers
from voicemesh.client.mouth import FRAME_SECONDS, CallerClock, Mouth
from voicemesh.client.saying import Saying, check_digits
from voicemesh.emulate.carrier import EmulatedCarrier, natural_start
from voicemesh.emulate.link import open_link
from voicemesh.errors import DeadlineMissed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from voicemesh.audio import Samples
    from voicemesh.carriers.dialect import Began, Dialect, Frame
    from voicemesh.client.answers import Answer
    from voicemesh.client.events import Turn
    from voicemesh.client.playback import Playback
    from voicemesh.client.saying import Said
    from voicemesh.emulate.link import Link

GOODBYE_SECONDS = 5.0
"""How long a gateway may take to close the socket of a call that was hung up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a carrier."""

    bot: str = ""
    """Whom to call; empty leaves it to the gateway's numbers file."""
    token: str = ""
    """What the gateway wants carriers to bring along."""
    caller: str = ""
    callee: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What our answer document would have passed on."""
    socket: str = ""
    """Path and query of the socket, as an answer document has them; empty: the usual ones."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the upgrade carries besides: a signature."""
    settings: DialectSettings = field(default_factory=DialectSettings)


class CarrierCall:
    """A call in progress: `async with CarrierCall.place(dialect, target, ...) as call`.

    Leaving the block hangs up.
    """

    def __init__(
        self,
        dialect: Dialect,
        began: Began,
        settings: DialectSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dialect = dialect
        self.clock = clock
        self.carrier = EmulatedCarrier(dialect, began, settings)
        self.mouth = Mouth(began.sent.rate)
        self.sent = CallerClock(self.mouth.frame_size)
        self.turns: list[Turn] = []
        """None: no carrier is told where the time of a turn went."""
        self.close_code = 0
        self.close_reason = ""
        """How the gateway closed the socket; 0 while it stands."""
        self.placed_at = clock()
        self.first_audio_at: float | None = None
        self._frames_at_once = max(1, dialect.capabilities.frame_ms // int(FRAME_SECONDS * 1000))
        self._unsent: list[Samples] = []
        self._link: Link
        self._saying = Saying(self.mouth)
        self.hung_up = False
        """Whether the caller ended the call."""
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def place(
        cls,
        dialect: Dialect,
        target: str,
        order: Order | None = None,
    ) -> AsyncIterator[CarrierCall]:
        """Place a call at `target`, HOST:PORT."""
        order = order or Order()
        began = natural_start(
            dialect,
            order.settings,
            caller=order.caller,
            callee=order.callee,
            parameters=order.parameters,
        )
        call = cls(dialect, began, order.settings)
        path = order.socket or _path(dialect, order.bot, order.token)
        call._link = await open_link(dialect, target, path, call, order.headers)
        call._link.send(call.carrier.begin())
        speaking = asyncio.create_task(call._speak())
        try:
            yield call
            call.hang_up()
            await call.wait_ended(GOODBYE_SECONDS)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            call._link.close()

    @property
    def playback(self) -> Playback:
        """Return what the caller hears."""
        return self.carrier.playback

    @property
    def over(self) -> bool:
        """Return whether the socket is closed."""
        return self._over.is_set()

    def say(self, samples: Samples) -> Said:
        """Queue speech at the carrier's rate; await what is returned to wait until it was said."""
        return self._saying.say(samples)

    def dtmf(self, digits: str) -> None:
        """Press keys, one after another."""
        check_digits(digits)
        for digit in digits:
            self._link.send(self.carrier.press(digit))

    def hang_up(self) -> None:
        """End the call; `wait_ended` tells when it is over."""
        if not (self.hung_up or self.over):
            self.hung_up = True
            self._link.send(self.carrier.stop())
            self._link.close()

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
        """Return how long each answer took, end of speech to first bot audio, at the carrier."""
        return answers(self.mouth, self.sent, self.playback)

    def record(self, path: Path) -> None:
        """Write what was said and heard so far: caller left, bot right."""
        began = self.sent.began
        heard = self.playback.track(self.clock() if began is None else began, self.mouth.rate)
        write_wav(path, self.mouth.rate, self.mouth.track(), heard)

    # What the link brings.

    def came(self, frame: Frame) -> None:
        now = self.clock()
        self._link.send(self.carrier.receive(frame, now))
        if self.first_audio_at is None and self.playback.stretches:
            self.first_audio_at = now
        self._notify()

    def closed(self, code: int, reason: str) -> None:
        self.close_code, self.close_reason = code, reason
        self._over.set()
        self._saying.over()
        self._notify()

    async def _speak(self) -> None:
        """Send a frame every 20 ms, or as seldom as the carrier does."""
        began, frames = self.clock(), 0
        while not self.over:
            due = began + frames * FRAME_SECONDS
            await asyncio.sleep(max(due - self.clock(), 0))
            frames += 1
            self._link.send(self.carrier.tick(self.clock()))
            if not self.hung_up:
                self._send_frame()

    def _send_frame(self) -> None:
        frame = self.mouth.frame()
        if frame is not None:
            self._unsent.append(frame.samples)
        if len(self._unsent) >= self._frames_at_once:
            self._link.send(self.carrier.sound(np.concatenate(self._unsent)))
            self._unsent.clear()
        self.sent.tick(self.clock())
        self._saying.moved()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _path(dialect: Dialect, bot: str, token: str) -> str:
    asked = urlencode({"token": token}) if token else ""
    place = f"/carriers/{dialect.name}" + (f"/{quote(bot)}" if bot else "")
    return f"{place}?{asked}" if asked else place
