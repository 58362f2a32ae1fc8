"""What tests of phones need: a mesh with a SIP process, sipp, a softphone, records to read."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import socket
import struct
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mesh.local import LocalMesh
from mesh.topology import LOCAL, load, on_free_ports, with_phones
from voicemesh.audio import encode_mulaw, tonetext, write_wav

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from voicemesh.audio import Samples

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Seconds that anything here may take."""
_AUDIBLE = 0.8
"""Share of the scripted voice that is no silence, and more."""

needs_sipp = pytest.mark.skipif(
    shutil.which("sipp") is None, reason="needs sipp: install the Debian package sip-tester"
)


_PORTS = itertools.cycle(range(25000, 31980, 20))
_TAKEN: list[socket.socket] = []


def free_port() -> int:
    """Return a port that is free with UDP and TCP, and so are the next three, for this process.

    Processes that test at the same time tell each other what they have taken: the same port of
    another loopback address, bound until they end.
    """
    for port in itertools.islice(_PORTS, 349):
        mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.1.1", port))
        except OSError:
            mark.close()
            continue
        _TAKEN.append(mark)
        if all(_free(port + step) for step in range(4)):
            return port
    raise AssertionError("no port is free")


def _free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


@dataclass
class PhoneMesh:
    """A running mesh whose phones come in at `port`."""

    mesh: LocalMesh
    port: int
    folder: Path

    @property
    def records(self) -> list[dict[str, Any]]:
        """Records of the calls that are over, the oldest first."""
        files = sorted((self.folder / "records").glob("*.json"), key=lambda f: f.stat().st_mtime)
        return [json.loads(file.read_text()) for file in files]

    async def record(self, user: str) -> dict[str, Any]:
        """Wait for the record of the call to or from somebody; return it.

        One that another gateway, or the same on a busy machine, went on with has two.
        """

        def found() -> list[dict[str, Any]]:
            return [r for r in self.records if _with(r, user) and r["reason"] != "caller_vanished"]

        await until(found)
        return found()[0]

    @property
    def log(self) -> str:
        """What the SIP process logged."""
        return self.mesh.home.log("sip-0").read_text()


def _with(record: Mapping[str, Any], user: str) -> bool:
    started = next(entries(record, "call_started"))
    return any(started.get(side, "").startswith(f"sip:{user}@") for side in ("caller", "callee"))


@asynccontextmanager
async def phone_mesh(
    models: str = "scripted",
    environment: Mapping[str, str] | None = None,
    **file: Any,  # noqa: ANN401 - the SIP file's fields
) -> AsyncIterator[PhoneMesh]:
    """Run the local topology with a SIP process; `file` are fields of its SIP file."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="vm") as name:
        folder = Path(name)
        listen = {"address": "127.0.0.1", "port": port, **file.pop("listen", {})}
        told = {"listen": listen, "numbers": {"*": "echo"}, **file}
        (folder / "sip.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
        mesh = LocalMesh(
            with_phones(on_free_ports(load(LOCAL))),
            models=models,
            home=folder / "home",
            environment={
                "VOICEMESH_SIP": str(folder / "sip.yaml"),
                "VOICEMESH_RECORDS": str(folder / "records"),
                **(environment or {}),
            },
            drain_seconds=5.0,
        )
        async with mesh:
            yield PhoneMesh(mesh, port, folder)


async def until(holds: Any, seconds: float = PATIENCE) -> None:  # noqa: ANN401 - a question
    """Return when something holds; raise AssertionError if it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it never came about"
        await asyncio.sleep(0.02)


def entries(record: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """Yield the journal's entries of one kind."""
    return (entry[kind] for entry in record["journal"] if kind in entry)


def caller_words(record: Mapping[str, Any]) -> list[str]:
    """Return what the caller said, turn by turn."""
    return [turn["text"] for turn in entries(record, "caller_said")]


# What phones say.


def voice(text: str, rate: int = 8000) -> Samples:
    """Return words that the scripted engines understand."""
    return tonetext.encode(text, rate)


def pcap(path: Path, samples: Samples) -> Path:
    """Write speech as a capture of RTP, for sipp to play: PCMU, 20 ms a packet."""
    data = encode_mulaw(samples)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(len(data) // 160):
            rtp = struct.pack(">BBHII", 0x80, 0, number, number * 160, 0x1234)
            payload = rtp + data[number * 160 :][:160]
            udp = struct.pack(">HHHH", 4000, 4002, 8 + len(payload), 0) + payload
            ip = struct.pack(
                ">BBHHHBBHII", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, 0x7F000001, 0x7F000001
            )
            packet = bytes(12) + b"\x08\x00" + ip + udp
            at = divmod(number * 20_000, 1_000_000)
            file.write(struct.pack("<IIII", *at, len(packet), len(packet)) + packet)
    return path


# sipp.


@dataclass(frozen=True)
class Ran:
    """What a program left."""

    code: int
    output: str


async def run(*command: str, seconds: float = PATIENCE, cwd: Path | None = None) -> Ran:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return Ran(process.returncode or 0, output.decode(errors="replace"))


async def sipp(
    folder: Path,
    port: int,
    scenario: str,
    *more: str,
    local: str = "127.0.0.1",
    seconds: float = 30.0,
) -> Ran:
    """Have sipp call `port` as a scenario says; its messages are in `folder/messages.log`."""
    file = folder / "scenario.xml"
    file.write_text(scenario)
    return await run(
        "sipp",
        *("-sf", str(file), "-m", "1", "-nostdin", "-i", local, "-p", str(free_port())),
        *("-trace_msg", "-message_file", str(folder / "messages.log")),
        *("-timeout", f"{seconds:g}s", "-timeout_error"),
        *more,
        f"127.0.0.1:{port}",
        seconds=seconds + 5,
        cwd=folder,
    )


@dataclass
class Listening:
    """A sipp that waits to be called."""

    port: int
    _done: asyncio.Task[Ran]

    async def ran(self) -> Ran:
        """Wait until its scenario is over."""
        return await asyncio.wait_for(asyncio.shield(self._done), PATIENCE)


@asynccontextmanager
async def sipp_listens(folder: Path, scenario: str, port: int) -> AsyncIterator[Listening]:
    """Have sipp wait at a port for one call, which goes as a scenario says."""
    file = folder / "called.xml"
    file.write_text(scenario)
    command = ("sipp", "-sf", str(file), "-m", "1", "-nostdin", "-i", "127.0.0.1", "-p", str(port))
    traced = ("-trace_msg", "-message_file", str(folder / "called.log"))
    task = asyncio.create_task(run(*command, *traced, seconds=60, cwd=folder))
    try:
        await until(lambda: not _free(port))
        yield Listening(port, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# A softphone.


class Phone:
    """A softphone in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, heard: Path, rate: int) -> None:
        self._process = process
        self._rate = rate
        self._expected = 0.0
        self.heard = heard
        """Recording of what it heard; there once it ended."""
        self.told: list[dict[str, Any]] = []

    def do(self, what: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps({"do": what, **fields}) + "\n").encode())

    async def event(self, name: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait for an event, passing over others; each is told once."""
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := await self._process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                self.told.append(told)
                assert told["event"] != "failed", told
                if told["event"] == name:
                    return told
        raise AssertionError(f"it ended before {name!r}; it told {self.told}")

    async def say(self, words: str) -> None:
        """Have it say something that the scripted engines understand."""
        await self.say_sound(voice(words, self._rate))

    async def say_sound(self, samples: Samples) -> None:
        """Have it say something, at its codec's rate."""
        path = self.heard.with_name(f"{self.heard.stem}-{len(self.told)}.wav")
        write_wav(path, self._rate, samples)
        self.do("say", wav=str(path))
        await self.event("said")

    async def hears(self, words: str) -> None:
        """Wait until it has heard as much more as the scripted bot needs for some words.

        By loudness: on a busy machine packets come late, and what was read from them could be
        damaged. What exactly was said is in the call's record.
        """
        self._expected += tonetext.duration(words) * _AUDIBLE
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                if await self.loud_seconds() >= self._expected:
                    return
                await asyncio.sleep(0.05)

    async def loud_seconds(self) -> float:
        """Return how much of what it heard so far was no silence."""
        self.do("loudness")
        return float((await self.event("loudness"))["seconds"])

    async def hears_more(self, seconds: float) -> None:
        """Wait until it has heard so much more that is no silence."""
        self._expected = await self.loud_seconds() + seconds
        await self.hears("")


@asynccontextmanager
async def softphone(folder: Path, **config: Any) -> AsyncIterator[Phone]:  # noqa: ANN401 - JSON
    """Run a softphone; `lines` and `account` are baresip's configuration."""
    heard = Path(tempfile.mkstemp(".wav", "heard-", folder)[1])
    account = {"user": "phone", "domain": "127.0.0.1", "password": "", "reg_interval": 0}
    told = {**config, "account": {**account, **config.get("account", {})}, "heard": str(heard)}
    with (folder / "softphone.log").open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.sip.softphone", json.dumps(told)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )
    phone = Phone(process, heard, config.get("rate", 8000))
    try:
        await phone.event("ready")
        yield phone
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
