"""A caller of the load generator who comes as Twilio does: a WebSocket with JSON in text frames.

Written for little cost, so that the generator does not measure itself: frames are put together
from encoded pieces, and of the bot's audio only its length is looked at. The codec proper is
`voicemesh.carriers.twilio`; the tests hold the two to each other.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from base64 import b64encode
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from voicemesh.bench.clip import SILENCE
from voicemesh.emulate.link import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicemesh.bench.caller import Caller
    from voicemesh.bench.clip import Clip
    from voicemesh.bench.tally import Tally

MOST_UNSENT_BYTES = 128 * 1024
"""About 9 s of frames: a gateway that takes none for so long has failed the call."""
CONNECT_SECONDS = 5.0
_PAYLOAD = '"payload":'
_QUIET = b64encode(SILENCE).decode()


@cache
def _payloads(clip: Clip) -> tuple[str, ...]:
    return tuple(b64encode(frame).decode() for frame in clip.frames)


def audio_bytes(text: str) -> int:
    """Return how much audio a message carries, 0 if none; it is not decoded."""
    at = text.find(_PAYLOAD)
    if at < 0:
        return 0
    begin = text.index('"', at + len(_PAYLOAD)) + 1  # some servers put a space before it
    end = text.index('"', begin)
    return (end - begin) // 4 * 3 - text.count("=", end - 2, end)


class TwilioLeg(WSListener):
    """One call over one WebSocket."""

    def __init__(self, address: str, bot: str, caller: Caller, clip: Clip) -> None:
        self._url = f"ws://{address}/carriers/twilio/{quote(bot)}"
        self._caller = caller
        self._payloads = _payloads(clip)
        self._stream = f"MZ{uuid.uuid4().hex}"
        self._tail = f'"}},"streamSid":"{self._stream}"}}'
        self._transport: WSTransport | None = None
        self._chunk = 0
        self._heard = 0
        self._marks: deque[tuple[float, str]] = deque()
        self._why = "ENDED"

    async def run(self) -> None:
        self._caller.place(time.monotonic())
        try:
            transport, _ = await ws_connect(
                cast("Callable[[], WSListener]", lambda: self),
                self._url,
                websocket_handshake_timeout=CONNECT_SECONDS,
            )
        except (OSError, WSError, TimeoutError) as error:
            self._caller.fail(type(error).__name__)
            return
        try:
            await transport.wait_disconnected()
        finally:
            transport.disconnect(False)
        self._caller.fail(self._why)

    def send(self, position: int) -> None:
        transport = self._transport
        if transport is None:
            return
        now = time.monotonic()
        while self._marks and self._marks[0][0] <= now:
            self._give_back(transport, self._marks.popleft()[1])
        self._chunk += 1
        payload = _QUIET if position < 0 else self._payloads[position]
        transport.send(WSMsgType.TEXT, self._media(self._chunk, payload))
        if transport.underlying_transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self._caller.fail("NOT_READ")
            transport.disconnect(False)

    def hang_up(self) -> None:
        self._caller.hang_up()
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, self._message("stop", {}))
            self._transport.send_close(WSCloseCode.OK)

    # Called by picows.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(WSMsgType.TEXT, '{"event":"connected","protocol":"Call","version":"1.0.0"}')
        start = {
            "streamSid": self._stream,
            "accountSid": "ACbench",
            "callSid": self._stream.replace("MZ", "CA"),
            "tracks": ["inbound"],
            "customParameters": {},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        transport.send(WSMsgType.TEXT, self._message("start", start))
        self._caller.started(time.monotonic())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = time.monotonic()
        if frame.msg_type is WSMsgType.CLOSE:
            self._closed(transport, frame)
            return
        text = frame.get_payload_as_ascii_text()
        count = audio_bytes(text)
        if count:
            self._caller.heard(self._heard, count, now)
            self._heard += count
            return
        message = json.loads(text)
        if message["event"] == "clear":
            self._clear(transport, now)
        elif message["event"] == "mark":
            self._marks.append((self._caller.ear.audible_until, message["mark"]["name"]))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None

    def _clear(self, transport: WSTransport, now: float) -> None:
        # A carrier drops whatever it holds; the count begins anew behind it.
        self._caller.cleared(0, now)
        self._heard = 0
        while self._marks:
            self._give_back(transport, self._marks.popleft()[1])

    def _closed(self, transport: WSTransport, frame: WSFrame) -> None:
        code, reason = frame.get_close_code().value, frame.get_close_reason() or ""
        if code != WSCloseCode.OK.value:
            self._why = reason.partition(":")[0] or f"CLOSE_{code}"
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK)
        transport.disconnect()

    def _give_back(self, transport: WSTransport, name: str) -> None:
        transport.send(WSMsgType.TEXT, self._message("mark", {"name": name}))

    def _media(self, chunk: int, payload: str) -> str:
        return (
            f'{{"event":"media","sequenceNumber":"{chunk + 1}","media":{{"track":"inbound",'
            f'"chunk":"{chunk}","timestamp":"{chunk * 20}","payload":"{payload}{self._tail}'
        )

    def _message(self, kind: str, fields: object) -> str:
        return json.dumps(
            {
                "event": kind,
                "sequenceNumber": str(self._chunk + 1),
                kind: fields,
                "streamSid": self._stream,
            }
        )


class TwilioLine:
    """Where the sockets of one process go: to each edge in turn."""

    def __init__(self, target: str, bot: str, _calls: int) -> None:
        self._addresses = addresses(target)
        self._bot = bot
        self._legs = 0

    async def open(self, seconds: float) -> None:
        """Try every address; raise TimeoutError if one does not answer in time."""
        async with asyncio.timeout(seconds):
            for address in self._addresses:
                await _answering(address)

    def leg(self, caller: Caller, _tally: Tally, clip: Clip) -> TwilioLeg:
        """Return a leg for one more call."""
        address = self._addresses[self._legs % len(self._addresses)]
        self._legs += 1
        return TwilioLeg(address, self._bot, caller, clip)

    async def close(self) -> None:
        """Do nothing: each leg has a socket of its own."""


async def _answering(address: str) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
