"""A phone that calls by SIP and RTP over UDP, as good or bad a network between as one likes."""

from __future__ import annotations

import asyncio
import random
import socket
import uuid
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from voicemesh.client.playback import PAUSE_SECONDS, Playback
from voicemesh.emulate.caller import EmulatedCaller
from voicemesh.emulate.dialog import Answered, Asked, Dialog, Over, Refused, Send
from voicemesh.emulate.rtp import RATE, Reader, Sender
from voicemesh.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicemesh.audio import Samples

ANSWER_SECONDS = 10.0
GOODBYE_SECONDS = 5.0
REPEAT_SECONDS = 0.5
"""How long an INVITE may go without any answer; then it is sent again (timer A)."""


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to the sound on its way."""

    loss: float = 0.0
    """Share of packets that are lost, 0 to 1."""
    jitter: float = 0.0
    """Longest delay in seconds; each packet has one of its own, all equally likely."""
    seed: int = 5
    """The same network for the same seed."""


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, came: Callable[[bytes], None]) -> None:
        self._came = came

    def datagram_received(self, data: bytes, _: object) -> None:
        self._came(data)


class PhoneCall(EmulatedCaller):
    """A call in progress: `async with PhoneCall.place(target, user) as call`.

    Leaving the block hangs up.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(RATE, Playback(RATE))
        self.refers: list[str] = []
        """Whom the other side wanted us to call instead."""
        self._network = network
        self._chance = random.Random(network.seed)  # noqa: S311 - a network, not a secret
        self._sender, self._reader = Sender(self._chance.getrandbits(32)), Reader()
        self._answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._dialog: Dialog
        self._sip: asyncio.DatagramTransport
        self._rtp: asyncio.DatagramTransport
        self._there: tuple[str, int] | None = None
        self._silence = 0
        """Samples that came and were none of the bot's words."""

    @classmethod
    @asynccontextmanager
    async def place(
        cls, target: str, user: str, *, caller: str = "phone", network: Network | None = None
    ) -> AsyncIterator[PhoneCall]:
        """Call `user` at `target`, HOST:PORT (IPv4).

        Raises Unavailable, with the status, where the call is not taken.
        """
        host, _, port = target.rpartition(":")
        if not port.isdecimal():
            raise InvalidInput("target", f"must be HOST:PORT, not {target!r}")
        call = cls(network or Network())
        with ExitStack() as stack:
            await call._open(host, int(port), stack)
            own = call._sip.get_extra_info("sockname")
            media = call._rtp.get_extra_info("sockname")[1]
            call._dialog = Dialog(
                f"sip:{user}@{target}", f"{own[0]}:{own[1]}", media, caller, uuid.uuid4().hex
            )
            await call._ring()
            stack.callback(call.hang_up)
            async with call._speaking():
                yield call
                call.hang_up()
                await call.wait_ended(GOODBYE_SECONDS)

    @property
    def digits_from_bot(self) -> str:
        """Return the keys that the other side sent."""
        return self._reader.pressed

    async def _open(self, host: str, port: int, stack: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        sip, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(self._told), remote_addr=(host, port), family=socket.AF_INET
        )
        stack.callback(sip.close)
        own = sip.get_extra_info("sockname")[0]
        rtp, _ = await loop.create_datagram_endpoint(lambda: _Socket(self._heard), (own, 0))
        stack.callback(rtp.close)
        self._sip, self._rtp = sip, rtp

    async def _ring(self) -> None:
        """Call until there is an answer."""
        loop, invite = asyncio.get_running_loop(), self._dialog.invite()
        deadline = loop.time() + ANSWER_SECONDS
        while not self._answer.done():
            left = deadline - loop.time()
            if left <= 0:
                raise Unavailable(f"{self._dialog.to}: no answer within {ANSWER_SECONDS:g} s")
            self._sip.sendto(invite.encode())
            await asyncio.wait([self._answer], timeout=min(REPEAT_SECONDS, left))
        found = self._answer.result()
        self._there = (found.host, found.port)

    # What comes.

    def _told(self, data: bytes) -> None:
        for outcome in self._dialog.receive(data):
            match outcome:
                case Send(message):
                    self._sip.sendto(message.encode())
                case Answered() | Refused():
                    self._conclude(outcome)
                case Asked("REFER", address):
                    self.refers.append(address)
                    self._notify()
                case Over():
                    self._ended()

    def _conclude(self, outcome: Answered | Refused) -> None:
        if self._answer.done():
            return
        if isinstance(outcome, Answered):
            self._answer.set_result(outcome)
            return
        told = f"{self._dialog.to}: {outcome.status} {outcome.reason}"
        self._answer.set_exception(Unavailable(told, status=outcome.status))

    def _heard(self, packet: bytes) -> None:
        heard = self._reader.read(packet)
        if heard is None:
            return
        silent = heard.offset - self._silence - self.playback.next_offset
        if silent >= PAUSE_SECONDS * RATE:
            # A pause, not a hole: phones send it as silence, and it is no part of what is said.
            self._silence += silent
        self.playback.arrive(heard.offset - self._silence, heard.samples, self.clock())
        self._came()

    # What the caller does.

    def _press(self, digit: str) -> None:
        self._sender.press(digit)

    def _leave(self) -> None:
        self._sip.sendto(self._dialog.bye().encode())

    def _sound(self, samples: Samples) -> None:
        chance, network = self._chance, self._network
        for packet in self._sender.packets(samples):
            if chance.random() < network.loss:
                continue
            if network.jitter:
                delay = chance.random() * network.jitter
                asyncio.get_running_loop().call_later(delay, self._send, packet)
            else:
                self._send(packet)

    def _send(self, packet: bytes) -> None:
        if not self._rtp.is_closing():
            self._rtp.sendto(packet, cast("Any", self._there))
