"""Phones that come in through Kamailio and rtpengine: TLS and SRTP outside, plain inside."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sip.front import Front
from tests.sip.support import (
    caller_words,
    entries,
    free_port,
    phone_mesh,
    run,
    softphone,
    until,
)
from tests.sip.test_softphone import certificate
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

needs_front = pytest.mark.skipif(
    not (shutil.which("kamailio") and shutil.which("rtpengine")),
    reason="needs the Debian packages kamailio, kamailio-tls-modules and rtpengine-daemon",
)


def front(folder: Path, port: int, worker: int) -> Front:
    return Front(
        folder=folder / "front",
        public="127.0.0.1",
        certificate=certificate(folder),
        workers=[f"127.0.0.1:{worker}"],
        allow=[IPv4Network("127.0.0.0/8")],
        public_port=port + 1,
        inside_port=port + 2,
        rtpengine_port=port + 3,
    )


@asynccontextmanager
async def running_front(made: Front) -> AsyncIterator[None]:
    """Run Kamailio and rtpengine as a front's files say."""
    made.write()
    folder = made.folder
    log = (folder / "log").open("ab")
    media = ("rtpengine", "--config-file", str(folder / "rtpengine.conf"))
    door = ("kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-f", str(folder / "kamailio.cfg"))
    started = [await asyncio.create_subprocess_exec(*media, stdout=log, stderr=log, cwd=folder)]
    try:
        # Kamailio looks for it once at its start, and then leaves it alone for a while.
        await until(lambda: _bound("udp", made.rtpengine_port))
        started.append(
            await asyncio.create_subprocess_exec(*door, stdout=log, stderr=log, cwd=folder)
        )
        await until(lambda: _bound("tcp", made.public_port))
        yield
    finally:
        for process in started:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        log.close()


def _bound(kind: str, port: int) -> bool:
    """Return whether a UDP or TCP port of this machine has an owner."""
    lines = Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)


def test_what_a_front_needs(tmp_path: Path) -> None:
    made = front(tmp_path, 30000, 5060)
    texts = made.files()
    assert "listen=tls:127.0.0.1:30001" in texts["kamailio.cfg"]
    assert "src_ip == 127.0.0.0/8" in texts["kamailio.cfg"]
    assert "TLSv1.2+" in texts["tls.cfg"]
    assert "table = -1" in texts["rtpengine.conf"]
    nobody = Front(**{**vars(made), "allow": []})
    with pytest.raises(InvalidInput, match="allow"):
        nobody.files()


@needs_front
@pytest.mark.slow
async def test_kamailio_takes_the_configuration(tmp_path: Path) -> None:
    made = front(tmp_path, 30000, 5060)
    made.write()
    checked = await run("kamailio", "-c", "-f", str(made.folder / "kamailio.cfg"))
    assert checked.code == 0, checked.output


@needs_front
@pytest.mark.slow
async def test_a_call_through_the_front(tmp_path: Path) -> None:
    account = {"transport": "tls", "extra_params": ["mediaenc=srtp-mand"]}
    async with (
        phone_mesh(allow=["127.0.0.1/32"]) as phones,
        running_front(front(tmp_path, port := free_port(), phones.port)),
        softphone(tmp_path, account=account, lines=["sip_verify_server no"]) as phone,
    ):
        phone.do("dial", to=f"sip:1001@127.0.0.1:{port + 1};transport=tls")
        await phone.event("established")
        await phone.hears("Hello, this is the echo.")
        await phone.say("first of all")
        await phone.hears("You said: first of all. That was turn 1.")
        phone.do("digits", digits="7#")
        await phone.event("done")
        await phone.hears("You said: 42. That was turn 2.")
        phone.do("hold")
        await phone.event("done")
        phone.do("resume")
        await phone.event("done")
        await phone.say("Goodbye.")
        await phone.event("closed")
        record = await phones.record("1001")
    assert caller_words(record) == ["first of all", "Goodbye."]
    assert [each["digits"] for each in entries(record, "digits_pressed")] == ["7"]
    assert record["reason"] == "bot_hung_up"


@needs_front
@pytest.mark.slow
async def test_a_full_process_becomes_503_with_retry_after(tmp_path: Path) -> None:
    account = {"transport": "tls", "extra_params": ["mediaenc=srtp-mand"]}
    async with (
        phone_mesh(numbers={"1001": "nobody"}) as phones,
        running_front(front(tmp_path, port := free_port(), phones.port)),
        softphone(tmp_path, account=account, lines=["sip_verify_server no"]) as phone,
    ):
        phone.do("dial", to=f"sip:1001@127.0.0.1:{port + 1};transport=tls")
        assert (await phone.event("closed"))["text"] == "503 Service Unavailable"
