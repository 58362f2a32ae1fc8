"""The load generator's Twilio leg against the codec, and at a real gateway."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.gateway.caller import hall
from tests.gateway.carrier_line import port_of
from voicemesh.bench.caller import Caller, Manner, Phase
from voicemesh.bench.clip import RATE, recorded
from voicemesh.bench.lines import LINES
from voicemesh.bench.tally import Tally
from voicemesh.bench.twilio import TwilioLeg, TwilioLine, audio_bytes
from voicemesh.carriers.dialect import Began, DialectSettings, Reached, Sounded, Stopped
from voicemesh.carriers.twilio import TwilioApplication

if TYPE_CHECKING:
    from pathlib import Path

CLIP = recorded()
MANNER = Manner(len(CLIP.frames), 1.0, interrupting=0.0, quiet=0.2, greeting=0.2)


def leg_of(address: str, tally: Tally) -> tuple[TwilioLeg, Caller]:
    caller = Caller(0, MANNER, tally, RATE)
    return TwilioLeg(address, "desk", caller, CLIP), caller


def test_what_it_writes_is_twilios() -> None:
    leg, _ = leg_of("127.0.0.1:1", Tally())
    application = TwilioApplication(DialectSettings())
    start = leg._message(
        "start",
        {
            "streamSid": leg._stream,
            "callSid": "CA1",
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    )
    [began] = application.receive(start)
    assert isinstance(began, Began)
    for chunk, payload in enumerate(leg._payloads[:5], 1):
        assert json.loads(leg._media(chunk, payload))
        assert [*application.receive(leg._media(chunk, payload))] == [
            Sounded(CLIP.frames[chunk - 1])
        ]
    assert [*application.receive(leg._message("mark", {"name": "m1"}))] == [Reached("m1")]
    assert [*application.receive(leg._message("stop", {}))] == [Stopped()]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("count", [1, 2, 3, 160, 320])
def test_audio_is_counted_however_the_message_is_spaced(
    separators: tuple[str, str], count: int
) -> None:
    payload = b64encode(bytes(count)).decode()
    said = {"event": "media", "streamSid": "MZ1", "media": {"payload": payload}}
    assert audio_bytes(json.dumps(said, separators=separators)) == count
    assert not audio_bytes(json.dumps({"event": "clear"}, separators=separators))


async def test_it_holds_a_call_with_a_gateway(tmp_path: Path) -> None:
    tally = Tally()
    async with hall(tmp_path, sockets="127.0.0.1:0") as here:
        line = LINES["twilio"](f"127.0.0.1:{port_of(here.gateway)}", "desk", 1)
        assert isinstance(line, TwilioLine)
        await line.open(5)
        caller = Caller(0, MANNER, tally, RATE)
        leg = line.leg(caller, tally, CLIP)
        running = asyncio.create_task(leg.run())
        while not tally.turns:
            leg.send(caller.frame(time.monotonic()))
            await asyncio.sleep(0.02)
        assert caller.phase is Phase.LISTENING
        leg.hang_up()
        await running
        assert not caller.failure
        await here.gateway.live.wait_empty()
        await here.echo.byes.wait()
        assert here.echo.reasons == ["caller_hung_up"]
    assert tally.setups
    assert tally.lateness


async def test_it_tells_why_it_was_refused(tmp_path: Path) -> None:
    tally = Tally()
    async with hall(tmp_path, sockets="127.0.0.1:0", carrier_start_seconds=5) as here:
        leg, caller = leg_of(f"127.0.0.1:{port_of(here.gateway)}", tally)
        leg._url = leg._url.replace("desk", "nobody")
        await leg.run()
        assert caller.failure == "NO_BOT"
    leg, caller = leg_of("127.0.0.1:1", tally)
    await leg.run()
    assert caller.failure == "ConnectionRefusedError"
