"""Carriers' sockets at a real gateway: what they may do, and what becomes of those that may not."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import TYPE_CHECKING

import numpy as np
import pytest
from picows import WSHandshakeError

from gateway.legs.carrier import CarrierLeg
from gateway.legs.tcp import TcpDoor
from gateway.legs.websocket import Socket
from tests.gateway.caller import Caller, hall
from tests.gateway.carrier_line import (
    Line,
    line,
    media,
    port_of,
    twilio,
    twilio_start,
)
from tests.gateway.rig import silence, speech
from voicemesh.audio import decode_mulaw
from voicemesh.carriers.auth.twilio import signature
from voicemesh.carriers.dialect import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from pathlib import Path

OPEN = {"sockets": "127.0.0.1:0"}
TOKEN = {"carrier_token": "s3cret"}


def played(held: Line) -> np.ndarray:
    parts = [decode_mulaw(b64decode(one["media"]["payload"])) for one in held.messages("media")]
    return np.concatenate(parts) if parts else np.empty(0, np.int16)


async def utter(held: Line, seconds: float = 0.5) -> None:
    held.say(speech(seconds))
    held.say(silence(0.6))


async def test_a_carriers_caller_is_answered_in_their_own_words(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here, line(port_of(here.gateway)) as held:
        held.send('{"event":"connected","protocol":"Call","version":"1.0.0"}', twilio_start())
        opened = await here.echo.arrivals.get()
        assert dict(opened.variables) == {"tenant": "acme"}
        assert opened.bot == "desk"
        await utter(held)
        await held.until(lambda: np.abs(played(held)).max(initial=0) > 500)
        await held.until(lambda: held.messages("mark"))
        assert held.messages("media")[0]["streamSid"] == "MZ1"
        held.send(twilio("stop", callSid="CA1"))
        assert await held.refusal() == (1000, "")
        await here.gateway.live.wait_empty()
        await here.echo.byes.wait()
        assert here.echo.reasons == ["caller_hung_up"]


async def test_a_barge_in_clears_what_the_carrier_holds(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here, line(port_of(here.gateway)) as held:
        held.send(twilio_start())
        await utter(held, 1.5)
        await held.until(lambda: np.abs(played(held)).max(initial=0) > 500)
        held.say(speech(0.3))
        await held.until(lambda: held.messages("clear"))


async def test_keys_reach_the_bot_and_the_bot_hangs_up(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here, line(port_of(here.gateway)) as held:
        held.send(twilio_start(), twilio("dtmf", track="inbound_track", digit="3"))
        assert await held.refusal() == (1000, "")
        assert here.echo.counts["dtmf"] == 1


async def test_a_socket_that_breaks_off_ends_its_call(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here:
        async with line(port_of(here.gateway)) as held:
            held.send(twilio_start())
            await here.echo.arrivals.get()
        await here.gateway.live.wait_empty()
        await here.echo.byes.wait()
        assert here.echo.reasons == ["caller_vanished"]


WRONG: dict[str, tuple[list[str | bytes], int, str]] = {
    "media before the start": ([media(1)], 1002, "OUT_OF_ORDER: media: came before start"),
    "a second start": ([twilio_start(), twilio_start()], 1002, "start: came a second time"),
    "another stream": ([twilio_start(), twilio("stop", "MZ2")], 1002, "UNKNOWN_STREAM"),
    "frames out of order": ([twilio_start(), media(2), media(1)], 1002, "media.chunk"),
    "a binary frame": ([twilio_start(), b"\x00" * 160], 1003, "NOT_TEXT"),
    "another codec": (
        [twilio_start(mediaFormat={"encoding": "audio/opus", "sampleRate": 8000, "channels": 1})],
        1003,
        "WRONG_CODEC",
    ),
    "a rate that no codec has": (
        [twilio_start(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 7, "channels": 1})],
        1007,
        "start.mediaFormat.sample_rate_hertz",
    ),
    "no JSON": (["{"], 1007, "NOT_JSON"),
    "a torn payload": ([twilio_start(), media(1).replace("////", "/*//", 1)], 1007, "base64"),
    "a bot that is not there": ([twilio_start(customParameters={"bot": "nobody"})], 1008, "nobody"),
    "a name that no bot has": ([twilio_start(customParameters={"bot": "A B"})], 1007, "start.bot"),
    "no bot": ([twilio_start(customParameters={})], 1008, "NO_NUMBER"),
    "too long a frame": (["x" * (MAX_FRAME_BYTES + 1)], 1009, "FRAME_TOO_BIG"),
    "audio faster than speech": (
        [twilio_start(), *(media(chunk, b"\xff" * 8000) for chunk in range(1, 8))],
        1008,
        "TOO_FAST",
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_whatever_is_wrong_is_told_in_the_close_frame(what: str, tmp_path: Path) -> None:
    frames, code, reason = WRONG[what]
    async with hall(tmp_path, **OPEN) as here:
        other = Caller(here)
        await other.start()
        async with line(port_of(here.gateway)) as held:
            held.send(*frames)
            told = await held.refusal()
        assert told[0] == code, told
        assert reason in told[1]
        # Nobody else is disturbed.
        await other.utter()
        await other.until("audio")
        await other.hang_up()
        await other.end()
        await here.gateway.live.wait_empty()


async def test_a_frame_of_64_kib_is_taken(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here, line(port_of(here.gateway)) as held:
        held.send(twilio_start())
        fill = twilio("filler", data="")
        held.send(fill.replace('""', '"' + "x" * (MAX_FRAME_BYTES - len(fill)) + '"'))
        held.say(speech(0.5))
        held.say(silence(0.6))
        await held.until(lambda: held.messages("media"))


async def test_who_does_not_begin_is_closed(tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN, carrier_start_seconds=0.05) as here,
        line(port_of(here.gateway)) as held,
    ):
        assert (await held.refusal())[0] == 1008
        assert "NO_START" in (held.closed or (0, ""))[1]


async def test_who_goes_silent_is_closed(tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN, carrier_idle_seconds=0.1) as here,
        line(port_of(here.gateway)) as held,
    ):
        held.send(twilio_start())
        code, reason = await held.refusal()
        assert (code, reason.split(":")[0]) == (1008, "IDLE")
        await here.gateway.live.wait_empty()


async def test_who_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async with (
        hall(tmp_path, **OPEN, read_seconds=0.3) as here,
        line(port_of(here.gateway)) as held,
    ):
        held.send(twilio_start())
        await here.echo.arrivals.get()
        held.transport.underlying_transport.pause_reading()
        [call] = here.gateway._held.values()
        assert isinstance(call._leg, CarrierLeg)
        socket = call._leg._wire
        assert isinstance(socket, Socket)
        # Sixteen megabytes of pings: more than the kernels on the way hold.
        socket._transport.underlying_transport.write(b"\x89\x00" * (8 << 20))
        await here.gateway.live.wait_empty()
        await here.echo.byes.wait()
        assert here.echo.reasons == ["caller_vanished"]


async def test_sockets_that_never_begin_are_bounded_and_do_no_harm(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN, carriers_waiting=64, carrier_start_seconds=1) as here:
        port = port_of(here.gateway)
        caller = Caller(here)
        await caller.start()
        # 900 say nothing at all, 100 get as far as the upgrade.
        mute = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", port) for _ in range(900))
        )
        opening = [asyncio.create_task(_open(port)) for _ in range(100)]
        results = await asyncio.gather(*opening)
        assert sorted(set(results)) == [101, 503]
        assert results.count(101) == 64
        await caller.utter()
        await caller.until("audio")
        for reader, writer in mute:
            assert await reader.read() == b""  # closed by the gateway
            writer.close()
        async with line(port) as held:
            held.send(twilio_start(), twilio("dtmf", track="inbound_track", digit="3"))
            assert (await held.refusal())[0] == 1000
        await caller.hang_up()
        await caller.end()


async def _open(port: int) -> int:
    """Open a socket that says nothing more, until the gateway closes it; return the status."""
    try:
        async with line(port) as held:
            return 101 if (await held.refusal())[0] == 1008 else 0
    except WSHandshakeError as error:
        return int(error.response.status) if error.response else 0


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 404), ("/carriers/nobody", 404), ("/carriers/audiosocket", 404), ("/carriers/", 404)],
)
async def test_other_places_are_not_found(path: str, status: int, tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here:
        with pytest.raises(WSHandshakeError) as caught:
            async with line(port_of(here.gateway), path):
                pass
        assert caught.value.response is not None
        assert caught.value.response.status == status


async def test_health_is_told_until_the_gateway_drains(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN) as here:
        port = port_of(here.gateway)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await here.gateway.drain()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)


async def test_the_token_is_asked_for(tmp_path: Path) -> None:
    async with hall(tmp_path, **OPEN, **TOKEN) as here:
        port = port_of(here.gateway)
        with pytest.raises(WSHandshakeError) as caught:
            async with line(port, "/carriers/twilio?token=wrong"):
                pass
        assert caught.value.response is not None
        assert caught.value.response.status == 403
        async with line(port) as held:
            held.send(twilio_start())
            code, reason = await held.refusal()
            assert (code, reason.split(":")[0]) == (1008, "WRONG_TOKEN")
        async with line(port) as held:
            held.send(twilio_start(customParameters={"bot": "desk", "token": "s3cret"}))
            assert "token" not in (await here.echo.arrivals.get()).variables
        async with line(port, "/carriers/twilio/desk?token=s3cret") as held:
            held.send(twilio_start(customParameters={}))
            assert (await here.echo.arrivals.get()).bot == "desk"


async def test_twilios_signature_is_checked_over_the_public_address(tmp_path: Path) -> None:
    public = "https://voice.example.com"
    settings = {"public_url": public, "twilio_auth_token": "12345"}
    async with hall(tmp_path, **OPEN, **settings) as here:
        port = port_of(here.gateway)
        for given in ({}, {"X-Twilio-Signature": signature("12345", public, {})}):
            with pytest.raises(WSHandshakeError) as caught:
                async with line(port, headers=given):
                    pass
            assert caught.value.response is not None
            assert caught.value.response.status == 403
        good = signature("12345", "wss://voice.example.com/carriers/twilio", {})
        async with line(port, headers={"X-Twilio-Signature": good}) as held:
            held.send(twilio_start())
            await here.echo.arrivals.get()


async def test_an_asterisk_comes_in_over_tcp(tmp_path: Path) -> None:
    async with hall(tmp_path, audiosocket="127.0.0.1:0", carrier_start_seconds=0.3) as here:
        port = port_of(here.gateway, TcpDoor)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""  # it never began
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\xff\xff\xff nonsense")
        assert await reader.read() == b""
        writer.close()
