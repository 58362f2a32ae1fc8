"""The legs on baresip, through `baresip-python`: the only module that knows it.

One `Runtime` may live in a process, and a crash in its C code ends the process: that is why phones
have processes of their own.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import numpy as np
from baresip import (
    Account,
    AudioNotActive,
    AudioRestarted,
    BaresipError,
    Call,
    CallState,
    Config,
    DigitEvent,
    DrainingError,
    Event,
    Runtime,
    StackEvent,
    UserAgent,
)

from sip.leg import Closed, Digit, Established, Held, LegEvent, Ringing
from sip.sources import restrict
from voicemesh import telemetry
from voicemesh.audio import Resampler
from voicemesh.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from sip.config import SipSettings
    from sip.file import SipFile, Transport, Trunk
    from sip.leg import SipLeg
    from voicemesh.audio import Samples

PORT_STEP = 10
"""From the port of one process to that of the next."""
TRANSFER_SECONDS = 30.0
"""How long the far end may take to say what became of a transfer."""
JITTER_MS = "60-200"
"""Least and greatest time that audio waits for what was delayed on its way."""
_SRTP = {"off": (), "optional": ("mediaenc=srtp",), "required": ("mediaenc=srtp-mand",)}
_CODECS = {"pcmu": "pcmu", "pcma": "pcma", "g722": "g722/16000/1"}
_ADDRESS = re.compile(r"sips?:[^\s<>;?]+", re.IGNORECASE)
_STATUS = re.compile(r"(\d{3})\b")
_READ_BYTES = 16000
"""Not more than a second, which is what a chunk may have."""
_NOTHING: Samples = np.empty(0, np.int16)

_log = telemetry.get_logger("sip")


class BaresipLeg:
    """One call of baresip's."""

    def __init__(self, call: Call, rate: int, caller: str, callee: str) -> None:
        self.caller, self.callee, self.rate = caller, callee, rate
        self._listener: Callable[[LegEvent], None] | None = None
        self._missed: list[LegEvent] = []
        self._call = call
        self._incoming = self._outgoing = Resampler(rate, rate)
        self._bound = False
        call.on(self._happened)
        call.on_dtmf(self._pressed)

    @property
    def on_event(self) -> Callable[[LegEvent], None]:
        return self._tell

    @on_event.setter
    def on_event(self, listener: Callable[[LegEvent], None]) -> None:
        self._listener = listener
        missed, self._missed = self._missed, []
        for event in missed:
            listener(event)

    async def answer(self) -> None:
        # Answered without video, baresip sends a re-INVITE to say so, even to a pure audio offer.
        await self._do(self._call.answer(video=True))

    async def hang_up(self) -> None:
        if self._call.state is not CallState.CLOSED:
            await self._do(self._call.hangup())

    async def transfer(self, target: str) -> None:
        try:
            await self._call.transfer(target, timeout=TRANSFER_SECONDS)
        except (BaresipError, ValueError) as error:
            raise Unavailable(f"{target}: {error}", reason="NOT_TRANSFERRED") from error

    async def send_digits(self, digits: str) -> None:
        await self._do(self._call.send_dtmf(digits))

    def read(self) -> Samples:
        if not self._bind():
            return _NOTHING
        try:
            data = self._call.audio.read(_READ_BYTES)
        except (AudioNotActive, AudioRestarted):
            self._bound = False
            return _NOTHING
        return self._incoming.feed(np.frombuffer(data, np.int16)) if data else _NOTHING

    def write(self, samples: Samples) -> None:
        if self._bind():
            try:
                self._call.audio.write(self._outgoing.feed(samples).tobytes())
            except (AudioNotActive, AudioRestarted):
                self._bound = False

    def flush(self) -> None:
        if self._bind():
            try:
                self._call.audio.flush_tx()
            except (AudioNotActive, AudioRestarted):
                self._bound = False

    @property
    def queued(self) -> int:
        try:
            waiting: int = self._call.audio.info().tx_buffered // 2
        except AudioNotActive:
            return 0
        return waiting * self._outgoing.in_rate // self._outgoing.out_rate

    def _bind(self) -> bool:
        """Follow the streams, which every new negotiation replaces; return whether there are."""
        if not self._bound:
            try:
                found = self._call.audio.info()
            except AudioNotActive:
                return False
            self._bound = found.rx_ready and found.tx_ready
            if found.rx_ready and found.rx_sample_rate != self._incoming.in_rate:
                self._incoming = Resampler(found.rx_sample_rate, self.rate)
            if found.tx_ready and found.tx_sample_rate != self._outgoing.out_rate:
                self._outgoing = Resampler(self.rate, found.tx_sample_rate)
        return self._bound

    def _tell(self, event: LegEvent) -> None:
        if self._listener is None:
            self._missed.append(event)
        else:
            self._listener(event)

    def _pressed(self, event: DigitEvent) -> None:
        self._tell(Digit(event.digit))

    def _happened(self, event: StackEvent) -> None:
        match event.event:
            case Event.CALL_RINGING | Event.CALL_PROGRESS:
                self._tell(Ringing())
            case Event.CALL_ESTABLISHED:
                self._tell(Established())
            case Event.CALL_HOLD:
                self._tell(Held(True))
            case Event.CALL_RESUME:
                self._tell(Held(False))
            case Event.CALL_CLOSED:
                detail = event.text or ""
                status = _STATUS.match(detail)
                self._tell(Closed(int(status[1]) if status else 0, detail))

    async def _do(self, what: Awaitable[None]) -> None:
        try:
            await what
        except BaresipError as error:
            # The far end was faster; its event is on the way.
            _log.info("a call was over already", detail=str(error))


class BaresipStack:
    """One baresip."""

    def __init__(self, settings: SipSettings, file: SipFile) -> None:
        self._file = file
        self._limit = settings.max_calls
        self.port = (settings.sip_port or file.listen.port) + PORT_STEP * settings.number
        self._runtime = Runtime()
        self._agents: dict[str, UserAgent] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, came_in: Callable[[SipLeg], None]) -> None:
        listen = self._file.listen
        try:
            await self._runtime.start(self._config())
        except BaresipError as error:
            raise Misconfigured(f"SIP cannot start on port {self.port}: {error}") from error
        held = restrict((self.port, self.port + 1), self._file.allow)
        if not held:
            raise Misconfigured(f"cannot listen for SIP on {listen.address}:{self.port}; taken?")
        for transport in listen.transports:
            # A user agent takes what comes by its own transport only.
            await self._agent(self._inbound(transport), came_in)
        for trunk in self._file.trunks:
            agent = self._agents[trunk.name] = await self._agent(self._account(trunk), came_in)
            if trunk.register_seconds:
                self._keep(self._register(trunk.name, agent))

    async def dial(self, trunk: str, to: str, caller: str) -> SipLeg:
        found = self._file.trunk(trunk)
        address = to if to.startswith(("sip:", "sips:")) else f"sip:{to}@{found.domain}"
        own = f"sip:{found.user}@{found.domain}"
        shown = f"sip:{caller}@{found.domain}" if caller and "@" not in caller else caller
        headers = {"P-Asserted-Identity": f"<{shown}>"} if shown else None
        try:
            call = await self._agents[found.name].dial(address, headers)
        except DrainingError as error:
            raise Unavailable("this process drains", reason="DRAINING") from error
        except BaresipError as error:
            raise Unavailable(f"{address}: {error}", reason="NOT_SENT") from error
        return BaresipLeg(call, self._file.rate, shown or own, address)

    async def drain(self) -> None:
        self._keep(self._runtime.drain())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runtime.close()

    async def _agent(self, account: Account, came_in: Callable[[SipLeg], None]) -> UserAgent:
        agent = await UserAgent.create(self._runtime, account, transfer_policy="reject")
        agent.on_incoming(lambda call: came_in(self._incoming(call)))
        return agent

    def _incoming(self, call: Call) -> BaresipLeg:
        callee = _ADDRESS.search(call.headers.get("To", ""))
        return BaresipLeg(call, self._file.rate, call.peer or "", callee[0] if callee else "")

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _register(self, name: str, agent: UserAgent) -> None:
        try:
            await agent.register()
            _log.info("registered", trunk=name)
        except BaresipError as error:
            # The stack goes on trying by itself.
            _log.warning("not registered", trunk=name, detail=str(error))

    def _config(self) -> Config:
        listen = self._file.listen
        lines = [
            f"sip_listen {listen.address}:{self.port}",
            f"sip_transports {','.join(listen.transports)}",
            f"rtp_ports {listen.rtp_ports}",
            "audio_jitter_buffer_type adaptive",
            f"audio_jitter_buffer_ms {JITTER_MS}",
            "audio_jitter_buffer_size 100",
        ]
        if listen.certificate:
            lines.append(f"sip_certificate {listen.certificate}")
        if listen.authorities:
            lines += [f"sip_cafile {listen.authorities}", "sip_verify_server yes"]
        return Config(
            net_interface=listen.address if listen.address != "0.0.0.0" else None,  # noqa: S104
            max_concurrent_calls=self._limit,
            expose_headers=("To",),
            extra_config_text="\n".join(lines) + "\n",
        )

    def _inbound(self, transport: Transport) -> Account:
        listen = self._file.listen
        return Account(
            "voicemesh",
            listen.address,
            "",
            reg_interval=0,
            transport=transport,
            audio_codecs=self._codecs,
            extra_params=("catchall=yes", *_SRTP[self._file.srtp]),
        )

    def _account(self, trunk: Trunk) -> Account:
        return Account(
            trunk.user,
            trunk.domain,
            trunk.password.get_secret_value(),
            registrar=trunk.proxy or None,
            reg_interval=trunk.register_seconds,
            transport=trunk.transport,
            audio_codecs=self._codecs,
            auth_user=trunk.login or None,
            extra_params=_SRTP[trunk.srtp],
        )

    @property
    def _codecs(self) -> tuple[str, ...]:
        return tuple(_CODECS[codec] for codec in self._file.codecs)
