"""What a carrier is asked about a live call by its API, where its socket has no word for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway import metrics
from voicemesh import telemetry
from voicemesh.carriers.rest.control import Ability, Transfer
from voicemesh.errors import NotFound, OutOfOrder, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from voicemesh.carriers.rest.control import CallControl

_log = telemetry.get_logger("carrier")
_ASKING: set[asyncio.Task[None]] = set()
"""What was begun is done even when the call is over; each has the API's own deadline."""


class Beyond:
    """One call at its carrier. Nothing here waits, and nothing raises."""

    def __init__(
        self, carrier: str, control: CallControl, call_id: str, onward: Callable[[str], str]
    ) -> None:
        """``call_id`` is the carrier's; ``onward`` returns where it learns of a target."""
        self._carrier = carrier
        self._control = control
        self._call_id = call_id
        self._onward = onward
        self._transfer: asyncio.Task[None] | None = None
        self._asked = 0

    @property
    def transferring(self) -> bool:
        """Whether the carrier was asked to send the call elsewhere."""
        return self._transfer is not None

    def transfer(self, target: str) -> bool:
        """Have the call sent elsewhere; False if the carrier cannot."""
        if Ability.TRANSFER not in self._control.abilities or self._transfer is not None:
            return False

        async def transfer() -> None:
            to = Transfer(target, self._onward(target))
            await self._control.transfer(self._call_id, to, self._key())

        self._transfer = self._ask("transfer", transfer())
        return True

    def when_transferred(self, then: Callable[[], None]) -> None:
        """Call back when the carrier has answered to that, whatever it answered."""
        if self._transfer is not None:
            self._transfer.add_done_callback(lambda _: then())

    def press(self, digits: str) -> bool:
        """Have digits sent to the caller's side; False if the carrier cannot."""
        if Ability.PRESS not in self._control.abilities:
            return False
        self._ask("send_digits", self._control.press(self._call_id, digits, self._key()))
        return True

    def hang_up(self, seconds: float) -> None:
        """Have the call ended, in so many seconds; one that is over by then is no problem."""
        if Ability.HANG_UP not in self._control.abilities:
            return

        async def hang_up() -> None:
            await asyncio.sleep(seconds)
            with suppress(NotFound, OutOfOrder):
                await self._control.hang_up(self._call_id, self._key())

        self._ask("hang_up", hang_up())

    def _key(self) -> str:
        self._asked += 1
        return f"{self._call_id[:56]}-{self._asked}"

    def _ask(self, wish: str, asking: Coroutine[None, None, None]) -> asyncio.Task[None]:
        async def ask() -> None:
            try:
                await asking
            except VoicemeshError as error:
                metrics.CARRIER_CANNOT.labels(self._carrier, wish).inc()
                _log.warning("the carrier did not", wish=wish, problem=error.message)

        task = asyncio.create_task(ask())
        _ASKING.add(task)
        task.add_done_callback(_ASKING.discard)
        return task
