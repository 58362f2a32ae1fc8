"""A phone as a process: a second SIP user agent, told what to do by lines of JSON.

``python -m tests.sip.softphone CONFIG`` reads ``{"do": …}`` a line from standard input and writes
``{"event": …}`` a line to standard output. What it hears is written to the file that the
configuration names when it ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from baresip import (
    Account,
    AudioNotActive,
    AudioRestarted,
    BaresipError,
    Call,
    CallState,
    Config,
    Event,
    Runtime,
    StackEvent,
    UserAgent,
)

from voicemesh.audio import Samples, read_wav, tonetext, write_wav

if TYPE_CHECKING:
    from collections.abc import Awaitable

_FRAME = 0.02
_LOUD = 300.0
_TOLD = {
    Event.CALL_RINGING: "ringing",
    Event.CALL_ESTABLISHED: "established",
    Event.CALL_HOLD: "held",
    Event.CALL_RESUME: "taken back",
    Event.CALL_TRANSFER: "transfer",
    Event.CALL_CLOSED: "closed",
    Event.REGISTER_OK: "registered",
    Event.REGISTER_FAIL: "not registered",
}


def tell(event: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class Softphone:
    """One phone with at most one call."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._runtime = Runtime()
        self._agent: UserAgent
        self._call: Call | None = None
        self._heard: list[bytes] = []
        self._saying = b""
        self._quiet = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._codec_rate: int = config.get("rate", 8000)

    async def run(self) -> None:
        await self._runtime.start(
            Config(
                net_interface="127.0.0.1",
                max_concurrent_calls=None,
                expose_headers=("P-Asserted-Identity",),
                extra_config_text="\n".join(self._config.get("lines", [])) + "\n",
            )
        )
        account = dict(self._config["account"])
        account["audio_codecs"] = tuple(account.get("audio_codecs", ("pcmu",)))
        account["extra_params"] = tuple(account.get("extra_params", ("catchall=yes",)))
        self._agent = await UserAgent.create(
            self._runtime, Account(**account), transfer_policy="manual"
        )
        self._runtime.subscribe(self._happened)
        self._agent.on_incoming(self._came_in)
        sounding = asyncio.create_task(self._sound())
        tell("ready")
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
        )
        while line := await commands.readline():
            await self._obey(json.loads(line))
        sounding.cancel()
        self._save()
        await self._runtime.close()

    def _happened(self, event: StackEvent) -> None:
        if event.event in _TOLD:
            tell(_TOLD[event.event], text=event.text, headers=event.headers)

    def _came_in(self, call: Call) -> None:
        self._take(call)
        tell("incoming", peer=call.peer)

    def _take(self, call: Call) -> None:
        self._call = call
        call.on_dtmf(lambda digit: tell("digit", digit=digit.digit))

    async def _obey(self, command: dict[str, Any]) -> None:
        try:
            await self._do(command)
        except BaresipError as error:
            tell("failed", do=command["do"], text=str(error))

    async def _do(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "register":
                await self._agent.register()
            case "dial":
                self._take(await self._agent.dial(command["to"]))
            case "say":
                rate, samples = read_wav(Path(command["wav"]))
                assert rate == self._codec_rate
                self._quiet.clear()
                self._saying += samples.tobytes()
                await self._quiet.wait()
                tell("said")
            case "hold" | "resume" as what:
                await self._until_sent(what)
            case "words":
                tell("words", words=tonetext.texts(self._sound_so_far(), self._codec_rate))
            case "loudness":
                tell("loudness", seconds=self._loud_seconds())
            case what:
                await self._with_call(what, command)

    async def _with_call(self, what: str, command: dict[str, Any]) -> None:
        assert self._call is not None
        doing: dict[str, Awaitable[None]] = {
            "answer": self._call.answer(video=True),
            "reject": self._call.reject(),
            "hang_up": self._call.hangup(),
            "digits": self._call.send_dtmf(command.get("digits", "1")),
            "transfer": self._call.transfer(command.get("to", "sip:nobody@127.0.0.1")),
        }
        wanted = doing.pop(what)
        for other in doing.values():
            other.close()  # type: ignore[attr-defined]
        await wanted
        tell("done", do=what)

    async def _until_sent(self, what: str) -> None:
        """Hold or resume; while the one before is on its way, neither can be sent."""
        assert self._call is not None
        sent = False
        while not sent:
            try:
                await (self._call.hold() if what == "hold" else self._call.resume())
                sent = True
            except BaresipError as error:
                if "in flight" not in str(error):
                    raise
                await asyncio.sleep(0.05)
        tell("done", do=what)

    async def _sound(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            if self._call is None or self._call.state is not CallState.ESTABLISHED:
                continue
            try:
                self._heard.append(self._call.audio.read(64000))
                if self._call.audio.info().tx_buffered < 1600 and self._saying:
                    taken = self._call.audio.write(self._saying[:960])
                    self._saying = self._saying[taken:]
            except (AudioNotActive, AudioRestarted):
                continue
            if not self._saying and not self._call.audio.info().tx_buffered:
                self._quiet.set()

    def _save(self) -> None:
        write_wav(Path(self._config["heard"]), self._codec_rate, self._sound_so_far())

    def _loud_seconds(self) -> float:
        size = int(self._codec_rate * _FRAME)
        sound = self._sound_so_far().astype(float)
        frames = sound[: sound.size // size * size].reshape(-1, size)
        return float(np.sum(np.sqrt(np.mean(frames**2, axis=1)) > _LOUD) * _FRAME)

    def _sound_so_far(self) -> Samples:
        return np.frombuffer(b"".join(self._heard), np.int16)


if __name__ == "__main__":
    asyncio.run(Softphone(json.loads(sys.argv[1])).run())
