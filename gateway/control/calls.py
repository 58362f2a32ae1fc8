"""The calls that this gateway knows of: live, dialling, and the newest that ended."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.control.follower import Follower
from voicemesh.api.control.v1 import control_pb2, event_pb2
from voicemesh.tenancy import asking, sees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.config import GatewaySettings
    from gateway.control.dialling import Dialler
    from gateway.convert import CallFacts
    from gateway.live import LiveCall
    from gateway.recording import Recorder

MAX_ENDED = 1000
"""Calls that are remembered when they have ended."""


@dataclass(slots=True)
class Dialling:
    """A call that is being placed."""

    call: control_pb2.Call
    dialler: Dialler
    name: str
    """The carrier's name of it."""
    until: float
    """When it counts as not answered; event loop's time."""
    reason: str = "no_answer"
    """Why it will have ended then."""
    tenant: str = field(default_factory=asking)


class Held:
    """A live call with what control knows of it."""

    def __init__(self, live: LiveCall, facts: CallFacts, follower: Follower) -> None:
        self.live = live
        self.facts = facts
        self.follower = follower
        self.recorder: Recorder | None = None


class Calls:
    """By identity."""

    def __init__(
        self, settings: GatewaySettings, publish: Callable[[event_pb2.CallEvent], None]
    ) -> None:
        self._settings = settings
        self._publish = publish
        self._live: dict[str, Held] = {}
        self.dialling: dict[str, Dialling] = {}
        self._ended: OrderedDict[str, tuple[str, control_pb2.Call]] = OrderedDict()
        """With the tenant."""

    def begin(self, live: LiveCall, facts: CallFacts) -> None:
        """Follow a call from its beginning here."""
        self.dialling.pop(facts.call_id, None)
        self._ended.pop(facts.call_id, None)

        def publish(event: event_pb2.CallEvent) -> None:
            if event.HasField("ended"):
                self.remember(self._described(held, event.ended), facts.tenant)
            self._publish(event)

        def gone() -> None:
            if self._live.get(facts.call_id) is held:
                del self._live[facts.call_id]

        held = Held(live, facts, Follower(facts, publish, gone))
        self._live[facts.call_id] = held
        live.taps.append(held.follower)

    def held(self, call_id: str) -> Held | None:
        """Return a live call that who asks may know of."""
        held = self._live.get(call_id)
        if held is None or held.live.ended or not sees(held.facts.tenant):
            return None
        return held

    def placed(self, call_id: str) -> Dialling | None:
        """Return a call that is being placed, likewise."""
        dialling = self.dialling.get(call_id)
        return dialling if dialling and sees(dialling.tenant) else None

    def ended(self, call_id: str) -> control_pb2.Call | None:
        """Return a call that has ended here, likewise."""
        tenant, call = self._ended.get(call_id, ("", None))
        return call if sees(tenant) else None

    def owner(self, call_id: str) -> str:
        """Return whose call it is; empty if nobody's, or not known here."""
        if call_id in self._live:
            return self._live[call_id].facts.tenant
        if call_id in self.dialling:
            return self.dialling[call_id].tenant
        return self._ended.get(call_id, ("", None))[0]

    def live(self) -> Iterable[Held]:
        """Return the live calls by identity, likewise."""
        found = [each for _, each in sorted(self._live.items())]
        return [each for each in found if not each.live.ended and sees(each.facts.tenant)]

    def remember(self, call: control_pb2.Call, tenant: str) -> None:
        """Keep a call that has ended; the oldest of too many is forgotten."""
        self._ended[call.call_id] = tenant, call
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    def describe(self, held: Held) -> control_pb2.Call:
        """Return a live call as the contract has it."""
        return self._described(held, None)

    def _described(self, held: Held, ended: event_pb2.Ended | None) -> control_pb2.Call:
        live, facts = held.live, held.facts
        state = control_pb2.CALL_STATE_ENDED if ended else control_pb2.CALL_STATE_LIVE
        placed = control_pb2.DIRECTION_OUTBOUND if facts.placed else control_pb2.DIRECTION_INBOUND
        began = live.start_time
        return control_pb2.Call(
            call_id=facts.call_id,
            state=state,
            direction=placed,
            bot=facts.bot.name,
            caller=facts.caller,
            callee=facts.callee,
            start_time=Timestamp(seconds=int(began), nanos=int(began % 1 * 1e9)),
            replica=self._settings.replica,
            region=self._settings.region,
            muted=live.application.muted,
            on_hold=live.application.on_hold,
            recording=held.recorder is not None and held.recorder.running,
            end_reason=ended.reason if ended else "",
            duration=ended.duration if ended else None,
        )
