"""A call that an emulated carrier places over its media socket."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import numpy as np

from voicemesh.carriers.dialect import DialectSettings
from voicemesh.client.mouth import FRAME_SECONDS
from voicemesh.emulate.caller import EmulatedCaller
from voicemesh.emulate.carrier import EmulatedCarrier, natural_start
from voicemesh.emulate.link import open_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from voicemesh.audio import Samples
    from voicemesh.carriers.dialect import Began, Dialect, Frame
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


class CarrierCall(EmulatedCaller):
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
        self.carrier = EmulatedCarrier(dialect, began, settings)
        super().__init__(began.sent.rate, self.carrier.playback, clock)
        self.close_code = 0
        self.close_reason = ""
        """How the gateway closed the socket; 0 while it stands."""
        self._frames_at_once = max(1, dialect.capabilities.frame_ms // int(FRAME_SECONDS * 1000))
        self._unsent: list[Samples] = []
        self._link: Link

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
        try:
            async with call._speaking():
                yield call
                call.hang_up()
                await call.wait_ended(GOODBYE_SECONDS)
        finally:
            call._link.close()

    # What the link brings.

    def came(self, frame: Frame) -> None:
        self._link.send(self.carrier.receive(frame, self.clock()))
        self._came()

    def closed(self, code: int, reason: str) -> None:
        self.close_code, self.close_reason = code, reason
        self._ended()

    # What the caller does.

    def _press(self, digit: str) -> None:
        self._link.send(self.carrier.press(digit))

    def _leave(self) -> None:
        self._link.send(self.carrier.stop())
        self._link.close()

    def _tick(self) -> None:
        self._link.send(self.carrier.tick(self.clock()))

    def _sound(self, samples: Samples) -> None:
        """Send it, or as seldom as the carrier does."""
        self._unsent.append(samples)
        if len(self._unsent) >= self._frames_at_once:
            self._link.send(self.carrier.sound(np.concatenate(self._unsent)))
            self._unsent.clear()


def _path(dialect: Dialect, bot: str, token: str) -> str:
    asked = urlencode({"token": token}) if token else ""
    place = f"/carriers/{dialect.name}" + (f"/{quote(bot)}" if bot else "")
    return f"{place}?{asked}" if asked else place
