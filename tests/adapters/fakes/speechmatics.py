"""Speechmatics' ``/v2`` on loopback; its own SDK talks to it too."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.adapters.fakes.hearing import Ears
from tests.adapters.fakes.sockets import Line, misbehave, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.server import ServerConnection

KEY = "sesame"
ERROR = json.dumps({"message": "Error", "type": "internal_error", "reason": "no more"})


class Speechmatics:
    """Hears `text` in `size` bytes."""

    def __init__(self, line: Line, text: str, size: int) -> None:
        self.line = line
        self.text, self.size = text, size
        self.mute = False
        """Whether it gives no answer to ``ForceEndOfUtterance``."""
        self.configs: list[dict[str, Any]] = []

    async def converse(self, connection: ServerConnection, _: dict[str, list[str]]) -> None:
        self.configs.append(json.loads(await connection.recv()))
        assert self.configs[-1]["message"] == "StartRecognition"
        await _say(connection, "RecognitionStarted", id="s", language_pack_info={"new": 1})
        ears, count = Ears(self.text, self.size), 0
        async for message in connection:
            self.line.heard.append(message)
            if self.line.fault and isinstance(message, bytes):
                await misbehave(connection, self.line.fault, ERROR)
                return
            if isinstance(message, bytes):
                count += 1
                await _say(connection, "AudioAdded", seq_no=count)
                if ears.feed(message):
                    await _words(connection, "AddPartialTranscript", ears.words)
                continue
            told = json.loads(message)
            if told["message"] == "ForceEndOfUtterance" and not self.mute:
                await _words(connection, "AddTranscript", ears.take())
                await _say(connection, "EndOfUtterance", metadata={"start_time": 0, "end_time": 1})
            if told["message"] == "EndOfStream":
                assert told["last_seq_no"] == count
                await _words(connection, "AddTranscript", ears.take())
                await _say(connection, "EndOfTranscript")
                return


async def _words(connection: ServerConnection, kind: str, words: str) -> None:
    metadata = {"transcript": f"{words} ", "start_time": 0.0, "end_time": 1.0}
    await _say(connection, kind, format="2.9", metadata=metadata, results=[])


async def _say(connection: ServerConnection, kind: str, **fields: object) -> None:
    await connection.send(json.dumps({"message": kind, **fields}))


@asynccontextmanager
async def speechmatics(text: str, size: int, **line: Any) -> AsyncIterator[Speechmatics]:  # noqa: ANN401
    """Serve it."""
    fake = Speechmatics(Line("Authorization", f"Bearer {KEY}", **line), text, size)
    async with serving(fake.line, fake):
        yield fake
