"""What call control works with, in one place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.control.calls import Calls
from gateway.control.dialling import Tickets
from gateway.control.elsewhere import Elsewhere
from gateway.control.follower import duration
from gateway.control.keys import Keys
from gateway.control.placing import Placing
from gateway.control.trunks import TrunkDialler
from gateway.control.watching import Watchers
from gateway.recording import Recordings
from voicemesh.api.control.v1 import event_pb2
from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.config import GatewaySettings
    from gateway.control.calls import Held
    from gateway.control.carriers import CarrierDialler
    from gateway.control.dialling import Dialler
    from gateway.convert import CallFacts
    from gateway.live import LiveCall
    from voicemesh.bots import Bot
    from voicemesh.sealing import Keyring


class Room:
    """The control of one gateway."""

    def __init__(
        self, settings: GatewaySettings, tag: str, keys: Keyring, bot: Callable[[str], Bot]
    ) -> None:
        """``bot`` returns a bot, or raises NotFound."""
        self.settings = settings
        self.tag = tag
        self.watchers = Watchers()
        self.keys = Keys()
        self.tickets = Tickets(keys)
        self.sinks: list[Callable[[event_pb2.CallEvent], None]] = [self._show]
        """Who is told of events besides."""
        self.calls = Calls(settings, self.publish)
        self.diallers: dict[str, Dialler] = {}
        """Carriers and trunks by name; the first is used where none is named."""
        self.placing = Placing(self, bot)
        self.elsewhere: Elsewhere
        folder = settings.recordings
        self._recordings = Recordings(Path(folder) if folder else None)

    def add(self, diallers: Mapping[str, CarrierDialler | TrunkDialler]) -> None:
        """Place calls by these, too."""
        for dialler in diallers.values():
            if isinstance(dialler, TrunkDialler):
                dialler.tell = self.placing.told
        self.diallers.update(diallers)

    def start(self) -> None:
        """Open the way to the other gateways."""
        self.elsewhere = Elsewhere(self.settings.mesh, self.settings.trust)
        self._waiting = asyncio.create_task(self.placing.run())

    async def stop(self) -> None:
        """Let go of everything; recordings are written to their end."""
        self._waiting.cancel()
        await asyncio.gather(self._waiting, return_exceptions=True)
        await self._recordings.close()
        await self.elsewhere.close()
        for dialler in self.diallers.values():
            await dialler.aclose()

    def begin(self, live: LiveCall, facts: CallFacts) -> None:
        """Take a call in."""
        self.calls.begin(live, facts)

    def record(self, held: Held) -> None:
        """Begin to record a call; raise OutOfOrder if it is, or cannot be."""
        if held.recorder is not None and held.recorder.running:
            raise OutOfOrder("recording", "this call is being recorded", reason="IS_RECORDED")

        def done(path: Path, seconds: float, incomplete: bool) -> None:
            ready = event_pb2.RecordingReady(
                path=str(path), duration=duration(seconds), incomplete=incomplete
            )
            held.follower.tell(recording_ready=ready)

        facts = held.facts
        now = held.live.now
        held.recorder = self._recordings.start(facts.call_id, facts.rate, now, done)
        held.live.taps.append(held.recorder)

    def stop_recording(self, held: Held) -> None:
        """End a recording; raise OutOfOrder if there is none."""
        if held.recorder is None or not held.recorder.running:
            raise OutOfOrder("recording", "this call is not being recorded", reason="NOT_RECORDED")
        held.recorder.stop(held.live.now)
        held.live.taps.remove(held.recorder)

    def knows(self, call_id: str) -> bool:
        """Whether something is known of a call that is not live here."""
        return bool(self.calls.placed(call_id) or self.calls.ended(call_id))

    def _show(self, event: event_pb2.CallEvent) -> None:
        self.watchers.publish(event, self.calls.owner(event.call_id))

    def publish(self, event: event_pb2.CallEvent) -> None:
        """Tell everybody who is told of events."""
        for sink in self.sinks:
            sink(event)
