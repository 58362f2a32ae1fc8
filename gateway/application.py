"""What an application does to a live call that no orchestrator needs to know: no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gateway import events as on
from gateway.commands import SendDigits
from gateway.playout import PlayoutState
from voicemesh.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.downlink import Downlink, DownlinkCommand
    from gateway.uplink import Uplink
    from voicemesh.audio import Samples

Commands: TypeAlias = "list[DownlinkCommand | SendDigits]"

MAX_SOUNDS = 4
"""Sounds that may wait to be played."""


class Application:
    """Mutes, holds, plays and sends digits; `now` is in seconds."""

    def __init__(self, uplink: Uplink, downlink: Downlink) -> None:
        self.muted = False
        """Whether the bot hears nothing of the caller."""
        self._uplink = uplink
        self._downlink = downlink
        self._sounds: deque[Samples] = deque()

    @property
    def on_hold(self) -> bool:
        """Whether neither side hears the other."""
        return self._downlink.on_hold

    @property
    def waiting(self) -> bool:
        """Whether something is to be played as soon as nobody speaks."""
        return bool(self._sounds)

    def let_through(self, event: on.CallerSounded) -> on.CallerSounded:
        """Return what of the caller's audio is to be heard."""
        if not (self.muted or self.on_hold):
            return event
        return replace(event, samples=np.zeros_like(event.samples))

    def handle(self, event: on.ApplicationEvent, now: float) -> Commands:
        """Do it; raise Refused where too many sounds wait."""
        return _HANDLERS[type(event)](self, event, now)

    def tick(self, now: float) -> Commands:
        """Play what waits, when nobody speaks."""
        downlink = self._downlink
        paused = downlink.playout.state is PlayoutState.PAUSED
        if not self._sounds or self._uplink.speaking or paused or not downlink.silent:
            return []
        return [*downlink.say(self._sounds.popleft(), now)]

    def _mute(self, event: on.MuteSet, _now: float) -> Commands:
        self.muted = event.muted
        return []

    def _hold(self, event: on.HoldSet, now: float) -> Commands:
        if event.on_hold == self.on_hold:
            return []
        change = self._downlink.put_on_hold if event.on_hold else self._downlink.take_off_hold
        return [*change(now)]

    def _play(self, event: on.SoundGiven, now: float) -> Commands:
        if len(self._sounds) >= MAX_SOUNDS:
            raise Refused(f"{MAX_SOUNDS} sounds wait to be played already", limit=MAX_SOUNDS)
        self._sounds.append(event.samples)
        return self.tick(now)

    def _press(self, event: on.DigitsGiven, _now: float) -> Commands:
        return [SendDigits(event.digits)]


_HANDLERS: Mapping[type, Callable[[Application, Any, float], Commands]] = {
    on.MuteSet: Application._mute,
    on.HoldSet: Application._hold,
    on.SoundGiven: Application._play,
    on.DigitsGiven: Application._press,
}
