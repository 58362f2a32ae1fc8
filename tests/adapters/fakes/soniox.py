"""Soniox's ``/transcribe-websocket`` on loopback; its own SDK talks to it too."""

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
ERROR = json.dumps({"tokens": [], "error_code": 503, "error_message": "Cannot continue request."})


class Soniox:
    """Hears `text` in `size` bytes."""

    def __init__(self, line: Line, text: str, size: int) -> None:
        self.line = line
        self.text, self.size = text, size
        self.mute = False
        """Whether it gives no answer to ``finalize``."""
        self.configs: list[dict[str, Any]] = []

    async def converse(self, connection: ServerConnection, _: dict[str, list[str]]) -> None:
        self.configs.append(json.loads(await connection.recv()))
        ears = Ears(self.text, self.size)
        async for message in connection:
            self.line.heard.append(message)
            if self.line.fault and isinstance(message, bytes):
                await misbehave(connection, self.line.fault, ERROR)
                return
            if isinstance(message, bytes):
                if ears.feed(message):
                    await connection.send(_result(_tokens(ears.words, False), ears))
            elif not message:
                await connection.send(_result(_tokens(ears.take(), True), ears))
                await connection.send(_result([], ears, finished=True))
                return
            elif json.loads(message)["type"] == "finalize" and not self.mute:
                mark = {"text": "<fin>", "is_final": True, "confidence": 1.0}
                await connection.send(_result([*_tokens(ears.take(), True), mark], ears))


def _tokens(words: str, final: bool) -> list[dict[str, Any]]:
    return [
        {"text": f"{word} ", "is_final": final, "confidence": 0.9, "start_ms": 0, "new_field": 1}
        for word in words.split()
    ]


def _result(tokens: list[dict[str, Any]], ears: Ears, **marks: bool) -> str:
    done = {"final_audio_proc_ms": ears.heard // 32, "total_audio_proc_ms": ears.heard // 32}
    return json.dumps({"tokens": tokens, **done, "new_field": {"nobody": "knows"}, **marks})


@asynccontextmanager
async def soniox(text: str, size: int, **line: Any) -> AsyncIterator[Soniox]:  # noqa: ANN401
    """Serve it."""
    fake = Soniox(Line("Authorization", f"Bearer {KEY}", **line), text, size)
    async with serving(fake.line, fake):
        yield fake
