"""One phone call: a leg of SIP on one side, a resumable caller of the gateway on the other.

While the far end holds the call nothing of it is heard (whatever it plays meanwhile is not the
caller), and the gateway is told: what the bot says waits there, and the bot is patient. When the
call is taken back the bot goes on where it was, unless the caller speaks: then what waited here is
dropped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from sip import leg as sip
from sip.ear import Ear
from sip.mouth import LEAD_SECONDS, Mouth
from voicemesh import telemetry
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.call.v1 import call_pb2
from voicemesh.client.lines import Lines
from voicemesh.errors import DeadlineMissed, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sip.leg import Closed, LegEvent, SipLeg

GOODBYE_SECONDS = 10.0
"""How long either side may take to end a call that the other has ended."""
REST_SECONDS = 0.5
"""The bot is never ahead by more, unless the phone was on hold."""
OPEN_SECONDS = 0.5
"""How long the bot waits for a phone's first sound: before it, media relays and NATs on the way may
not know yet where to send the bot's first words."""
LONGEST_NAME = 128

_log = telemetry.get_logger("sip")


def start_request(
    leg: SipLeg, bot: str, variables: Mapping[str, str] | None = None
) -> call_pb2.Start:
    """Return the message that begins a leg's call with a bot."""
    fmt = audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=leg.rate)
    return call_pb2.Start(
        bot=bot,
        caller_format=fmt,
        caller=leg.caller[:LONGEST_NAME],
        callee=leg.callee[:LONGEST_NAME],
        variables=variables or {},
        resumable=True,
    )


class Phone:
    """A phone that speaks with a bot."""

    def __init__(
        self, leg: SipLeg, start: call_pb2.Start, target: str, clock: Callable[[], float]
    ) -> None:
        self.call_id = ""
        """Identity of the call, once it stands."""
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the mesh's call ended; empty if it was lost."""
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        """How the leg ended."""
        self.established = asyncio.Event()
        self.ringing = asyncio.Event()
        self._leg = leg
        self._clock = clock
        self._ear, self._mouth = Ear(leg.rate), Mouth(leg.rate)
        self._lines = Lines(target, start, self, leg.rate, clock)
        self._held = False
        self._opens_at = 0.0
        """When the bot may be heard at the latest; 0 until somebody answered."""
        self._open = False
        self._silent = asyncio.Event()
        self._transfer = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = _log.bind(caller=leg.caller, callee=leg.callee)
        leg.on_event = self._happened

    async def open(self) -> None:
        """Begin the mesh's call; raise what speaks against it."""
        opening = asyncio.create_task(self._lines.open(None))
        try:
            await _first_of(opening, self.closed)
            if not opening.done():
                raise Unavailable("the caller gave up", reason="GAVE_UP")
            self.call_id = opening.result().call_id
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        self._log = self._log.bind(call_id=self.call_id)
        self._log.info("phone call began")

    async def talk(self) -> None:
        """Return when both sides have ended."""
        await _first_of(self.closed, self.ended)
        if self.closed.done():
            self._say(call_pb2.ConverseRequest(hang_up=call_pb2.HangUp()), last=True)
            await asyncio.wait({self.ended}, timeout=GOODBYE_SECONDS)
        else:
            await self._let_go()
        detail = self.closed.result().detail if self.closed.done() else "did not answer the BYE"
        reason = self.ended.result() if self.ended.done() else "not ended"
        self._log.info("phone call ended", reason=reason, detail=detail)

    async def close(self) -> None:
        """End whatever is left of it."""
        if not self.closed.done():
            await self._leg.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lines.close()

    def tick(self, now: float) -> None:
        """Carry audio both ways; every 20 ms."""
        self._lines.tick()
        samples = self._leg.read()
        if self._held or not self.call_id:
            return
        if samples.size and not self.ended.done():
            offset = self._ear.place(samples, now)
            chunk = audio_pb2.AudioChunk(offset=offset, data=samples.astype("<i2").tobytes())
            self._lines.kept.audio(offset, samples.size, call_pb2.ConverseRequest(audio=chunk))
            self._lines.sent()
        self._open = self._open or bool(samples.size) or 0 < self._opens_at <= now
        lead = LEAD_SECONDS * self._leg.rate
        queued = self._leg.queued
        while self._open and queued < lead and (frame := self._mouth.frame(now)) is not None:
            self._leg.write(frame)
            queued += frame.size
        if not queued and not self._mouth.waiting:
            self._silent.set()

    async def _let_go(self) -> None:
        """End the leg, once what the bot said last was heard."""
        rest = REST_SECONDS + self._mouth.waiting / self._leg.rate
        self._silent.clear()
        silent = asyncio.create_task(self._silent.wait())
        await _first_of(self.closed, silent, seconds=rest)
        silent.cancel()
        if self._transfer and not self.closed.done():
            try:
                await self._leg.transfer(self._transfer)
            except VoicemeshError as error:
                self._log.warning("not transferred", detail=error.message)
        if not self.closed.done():
            await self._leg.hang_up()
        await asyncio.wait({self.closed}, timeout=GOODBYE_SECONDS)

    def _say(self, message: call_pb2.ConverseRequest, *, last: bool = False) -> None:
        if last:
            self._lines.kept.close(message)
        else:
            self._lines.kept.key(self._ear.next_offset, message)
        self._lines.sent()

    def _tell_hold(self) -> None:
        held = call_pb2.ConverseRequest(hold=call_pb2.Hold(on_hold=self._held))
        self._lines.kept.state(self._ear.next_offset, held)
        self._lines.sent()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What the leg says.

    def _happened(self, event: LegEvent) -> None:
        match event:
            case sip.Ringing():
                self.ringing.set()
            case sip.Established():
                self.established.set()
                self._opens_at = self._clock() + OPEN_SECONDS
            case sip.Digit(digit) if not self._held and not self.closed.done():
                self._say(call_pb2.ConverseRequest(dtmf=call_pb2.Dtmf(digit=digit)))
            case sip.Held(on):
                self._held = on
                self._tell_hold()
                self._log.info("held" if on else "taken back")
            case sip.Closed() if not self.closed.done():
                self.closed.set_result(event)

    # What the mesh says: see `voicemesh.client.lines.LinesUser`.

    def came(self, message: call_pb2.ConverseResponse) -> None:
        now = self._clock()
        match message.WhichOneof("message"):
            case "audio":
                samples = np.frombuffer(message.audio.data, "<i2").astype(np.int16, copy=False)
                self._mouth.arrive(message.audio.offset, samples, now)
            case "clear":
                self._mouth.clear(message.clear.offset, now)
                self._leg.flush()
            case "transcript" if message.transcript.speaker == call_pb2.SPEAKER_CALLER:
                if self._mouth.waiting > REST_SECONDS * self._leg.rate:
                    # The gateway took it for heard while the phone was on hold.
                    self._mouth.drop(now)
            case "action":
                self._act(message.action)
            case "ended" if not self.ended.done():
                name = call_pb2.EndReason.Name(message.ended.reason)
                self.ended.set_result(name.removeprefix("END_REASON_").lower())

    def resumed(self, started: call_pb2.Started) -> None:
        self._log.info("another gateway holds the call", replica=started.replica)
        if self._held:
            self._tell_hold()

    def lost(self, error: VoicemeshError) -> None:
        self._log.warning("the mesh's call is lost", detail=error.message)
        if not self.ended.done():
            self.ended.set_result("")

    def standing(self) -> tuple[int, int, int]:
        heard = max(self._mouth.spoken - self._leg.queued, 0)
        return self._ear.next_offset, heard, self._mouth.next_offset

    def _act(self, action: call_pb2.Action) -> None:
        match action.WhichOneof("action"):
            case "transfer":
                self._transfer = address(action.transfer.target, self._leg.caller)
            case "send_digits":
                sending = self._leg.send_digits(action.send_digits.digits)
                self._keep(asyncio.create_task(sending))


def address(target: str, peer: str) -> str:
    """Return a SIP address for a transfer's target: a number is one where the peer is."""
    if target.startswith(("sip:", "sips:")):
        return target
    if "@" in target:
        return f"sip:{target}"
    host = peer.rpartition("@")[2].partition(";")[0].strip("<>") or "localhost"
    return f"sip:{target}@{host.removeprefix('sip:')}"


async def _first_of(*waits: asyncio.Future[Any], seconds: float | None = None) -> None:
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


async def answered(phone: Phone, seconds: float) -> bool:
    """Wait until the far end answers; return False where it refused, raise DeadlineMissed."""
    establishing = asyncio.create_task(phone.established.wait())
    try:
        await _first_of(establishing, phone.closed, seconds=seconds)
    finally:
        establishing.cancel()
    if not phone.established.is_set() and not phone.closed.done():
        raise DeadlineMissed(f"nobody answered within {seconds:g} s", limit=seconds)
    return phone.established.is_set()
