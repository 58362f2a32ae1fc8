"""Deepgram's ``/v1/listen`` on loopback; its own SDK talks to it too."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.adapters.fakes.hearing import Ears
from tests.adapters.fakes.sockets import Line, misbehave, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.server import ServerConnection

KEY = "sesame"
ERROR = json.dumps({"type": "Error", "description": "no more", "variant": "NET-0000"})


class Deepgram:
    """Hears `text` in `size` bytes."""

    def __init__(self, line: Line, text: str, size: int) -> None:
        self.line = line
        self.text, self.size = text, size
        self.mute_finalize = False
        """Whether it gives no answer to ``Finalize``, as it may where little was said."""
        self.queries: list[dict[str, list[str]]] = []
        self.kept_alive = asyncio.Event()

    async def converse(self, connection: ServerConnection, query: dict[str, list[str]]) -> None:
        self.queries.append(query)
        ears, rate = Ears(self.text, self.size), int(query["sample_rate"][0])
        interim = query.get("interim_results") == ["true"]
        async for message in connection:
            self.line.heard.append(message)
            if self.line.fault and isinstance(message, bytes):
                await misbehave(connection, self.line.fault, ERROR)
                return
            if isinstance(message, bytes):
                if ears.feed(message) and interim:
                    await connection.send(self._results(ears.words, ears, rate))
                continue
            kind = json.loads(message)["type"]
            if kind == "KeepAlive":
                self.kept_alive.set()
            if kind == "Finalize" and not self.mute_finalize:
                answer = self._results(ears.take(), ears, rate, is_final=True, from_finalize=True)
                await connection.send(answer)
            if kind == "CloseStream":
                await connection.send(self._results(ears.take(), ears, rate, is_final=True))
                await connection.send(_metadata(ears.heard / 2 / rate))
                return

    def _results(self, words: str, ears: Ears, rate: int, **marks: bool) -> str:
        alternative = {"transcript": words, "confidence": 0.99, "words": [], "mood": "new field"}
        message: dict[str, Any] = {
            "type": "Results",
            "channel_index": [0, 1],
            "start": 0.0,
            "duration": ears.heard / 2 / rate,
            "is_final": False,
            "speech_final": False,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": "r",
                "model_uuid": "m",
                "model_info": {"name": "n", "version": "v", "arch": "a"},
            },
            "new_field": {"that": "nobody knows"},
        }
        return json.dumps(message | marks)


def _metadata(duration: float) -> str:
    return json.dumps(
        {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": "r",
            "sha256": "0",
            "created": "2026-01-01T00:00:00Z",
            "duration": duration,
            "channels": 1,
        }
    )


@asynccontextmanager
async def deepgram(text: str, size: int, **line: Any) -> AsyncIterator[Deepgram]:  # noqa: ANN401
    """Serve it."""
    fake = Deepgram(Line("Authorization", f"Token {KEY}", **line), text, size)
    async with serving(fake.line, fake):
        yield fake
