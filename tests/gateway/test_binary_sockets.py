"""Carriers of binary audio, and browsers, at a real gateway; the dialects' own other ends call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from picows import WSHandshakeError

from gateway.legs.tcp import TcpDoor
from tests.gateway.caller import hall
from tests.gateway.carrier_line import Line, line, port_of
from tests.gateway.rig import silence, speech
from voicemesh.audio import Encoding, decode_mulaw, encode_mulaw
from voicemesh.carriers.auth.genesys import COVERED
from voicemesh.carriers.dialect import (
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    Began,
    Clear,
    Command,
    DialectSettings,
    HangUp,
    Mark,
    Play,
    Pressed,
    Reached,
    Show,
    Sounded,
    Stopped,
)
from voicemesh.carriers.table import DIALECTS

if TYPE_CHECKING:
    from pathlib import Path

    from voicemesh.audio import AudioFormat, Samples
    from voicemesh.carriers.dialect import Event

OPEN = {"sockets": "127.0.0.1:0"}
FORMATS = {
    "vonage": LINEAR_16K,
    "jambonz": LINEAR_8K,
    "audiohook": MULAW_8K,
    "browser": LINEAR_16K,
}
CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"


class Phone:
    """The carrier's end of one call, over a socket."""

    def __init__(self, name: str, held: Line) -> None:
        self._held = held
        self._carrier = DIALECTS[name].carrier(DialectSettings())
        self._read = 0
        self.format = FORMATS[name]
        self.commands: list[Command] = []

    def tell(self, *events: Event) -> None:
        for event in events:
            self._held.send(*self._carrier.send(event))

    def begin(self, **parameters: str) -> None:
        fmt = self.format
        stream = CALL if fmt is MULAW_8K else ""
        self.tell(Began(CALL, stream, parameters=parameters, sent=fmt, played=fmt))

    def say(self, samples: Samples) -> None:
        """Say what is given at 8 kHz, in frames of 20 ms."""
        data = encoded(samples, self.format)
        size = self.format.rate // 50 * self.format.bytes_per_sample
        self.tell(*(Sounded(data[at : at + size]) for at in range(0, len(data), size)))

    async def until(self, kind: type[Command], of: int = 1) -> None:
        """Wait for the gateway's next commands; marks come back at once."""
        await self._held.until(lambda: self._count(kind) >= of)

    def _count(self, kind: type[Command]) -> int:
        while self._read < len(self._held.got):
            frame = self._held.got[self._read]
            self._read += 1
            got = [*self._carrier.receive(frame)]
            self.commands += got
            self.tell(*(Reached(each.name) for each in got if isinstance(each, Mark)))
        return sum(isinstance(each, kind) for each in self.commands)

    def heard(self) -> Samples:
        data = b"".join(each.data for each in self.commands if isinstance(each, Play))
        if self.format.encoding is Encoding.MULAW:
            return decode_mulaw(data)
        return np.frombuffer(data, "<i2").astype(np.int16)


def encoded(samples: Samples, fmt: AudioFormat) -> bytes:
    if fmt.encoding is Encoding.MULAW:
        return encode_mulaw(samples)
    return np.repeat(samples, fmt.rate // 8000).astype("<i2").tobytes()


@pytest.mark.parametrize("name", FORMATS)
async def test_a_caller_is_answered_interrupts_and_presses_a_key(name: str, tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN) as here,
        line(port_of(here.gateway), f"/carriers/{name}/desk") as held,
    ):
        phone = Phone(name, held)
        phone.begin(branch="berlin")
        if name == "audiohook":  # Genesys sends audio only once it was answered
            await held.until(lambda: held.got)
            assert phone._count(Play) == 0
        opened = await here.echo.arrivals.get()
        assert dict(opened.variables) == {"branch": "berlin"}
        phone.say(speech(1.5))
        phone.say(silence(0.6))
        await phone.until(Play)
        while np.abs(phone.heard()).max(initial=0) <= 500:
            await phone.until(Play, of=phone._count(Play) + 1)
        phone.say(speech(0.3))
        await phone.until(Clear)
        phone.tell(Pressed("3"))
        assert (await held.refusal())[0] == 1000
        assert here.echo.counts["dtmf"] == 1
        if DIALECTS[name].capabilities.hangs_up:
            assert phone._count(HangUp) == 1


@pytest.mark.parametrize("name", ["audiohook", "browser"])
async def test_a_caller_says_goodbye(name: str, tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN) as here,
        line(port_of(here.gateway), f"/carriers/{name}/desk") as held,
    ):
        phone = Phone(name, held)
        phone.begin()
        await here.echo.arrivals.get()
        if name == "audiohook":
            await held.until(lambda: held.got)
            assert phone._count(Play) == 0
        phone.tell(Stopped("end"))
        assert await held.refusal() == (1000, "")
        await here.gateway.live.wait_empty()
        assert here.echo.reasons == ["caller_hung_up"]


async def test_a_browser_names_its_bot_and_is_shown_words(tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN) as here,
        line(port_of(here.gateway), "/carriers/browser") as held,
    ):
        phone = Phone("browser", held)
        phone.begin(bot="desk")
        await here.echo.arrivals.get()
        phone.say(speech(0.5))
        phone.say(silence(0.6))
        await phone.until(Show)


async def test_a_browser_learns_that_there_is_no_such_bot(tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN) as here,
        line(port_of(here.gateway), "/carriers/browser") as held,
    ):
        Phone("browser", held).begin(bot="nobody")
        code, reason = await held.refusal()
        assert code == 1008
        assert reason.startswith("NO_BOT: no bot 'nobody'")


# Genesys signs its upgrade.

PUBLIC = "https://voice.example.com"
SIGNED: dict[str, Any] = {
    **OPEN,
    "public_url": PUBLIC,
    "genesys_api_key": "the-key",
    "genesys_client_secret": "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=",
}


class Upgrade:
    """A request as the library that signs it wants it."""

    method = "GET"

    def __init__(self, path: str) -> None:
        self.url = f"{PUBLIC}{path}"
        self.headers = {
            "audiohook-organization-id": "org",
            "audiohook-session-id": "session",
            "audiohook-correlation-id": "correlation",
            "x-api-key": "the-key",
        }


class Key(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> bytes:
        return b"MySuperSecretKeyTellNo-1!2@3#4$5"


def signed(path: str) -> dict[str, str]:
    request = Upgrade(path)
    signer = HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Key())
    nonce = f"{time.monotonic_ns():022}"
    signer.sign(request, key_id="the-key", nonce=nonce, covered_component_ids=COVERED)
    return request.headers


async def test_genesys_signature_lets_it_in_once(tmp_path: Path) -> None:
    path = "/carriers/audiohook/desk"
    headers = signed(path)
    async with hall(tmp_path, **SIGNED) as here:
        port = port_of(here.gateway)
        async with line(port, path, headers) as held:
            Phone("audiohook", held).begin()
            await here.echo.arrivals.get()
        for wrong in (headers, signed("/carriers/audiohook/another"), {"x-api-key": "the-key"}):
            with pytest.raises(WSHandshakeError, match="403"):
                async with line(port, path, wrong):
                    pass


async def test_an_asterisk_reaches_the_bot_that_its_uuid_names(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.txt"
    numbers.write_text('numbers: [{application: "audiosocket/40325ec2-*", bot: desk}]\n')
    settings = {"audiosocket": "127.0.0.1:0", "numbers": str(numbers)}
    async with hall(tmp_path, **settings) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(here.gateway, TcpDoor))
        asterisk = DIALECTS["audiosocket"].carrier(DialectSettings())

        def tell(*events: Event) -> None:
            frames = [frame for event in events for frame in asterisk.send(event)]
            writer.write(b"".join(frame for frame in frames if isinstance(frame, bytes)))

        tell(Began(CALL, sent=LINEAR_8K, played=LINEAR_8K))
        assert (await here.echo.arrivals.get()).bot == "desk"
        for samples in (speech(0.5), silence(0.6)):
            data = samples.astype("<i2").tobytes()
            tell(*(Sounded(data[at : at + 320]) for at in range(0, len(data), 320)))
        heard: list[Command] = []
        while not any(isinstance(each, Play) and any(each.data) for each in heard):
            heard += asterisk.receive(await reader.read(4096))
        tell(Pressed("3"))
        while not any(isinstance(each, HangUp) for each in heard):
            heard += asterisk.receive(await reader.read(4096))
        assert {len(each.data) for each in heard if isinstance(each, Play)} == {320}
        assert await reader.read() == b""
        writer.close()
