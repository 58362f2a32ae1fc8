"""Cartesia's ``/tts/websocket`` on loopback; its own SDK talks to it too."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.adapters.fakes.sockets import Line, misbehave, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.server import ServerConnection

KEY = "sesame"
ERROR = json.dumps(
    {"type": "error", "done": True, "title": "Broken", "message": "no more", "status_code": 500}
)
PIECE = 4001
"""Bytes of sound in a message; odd, so that samples are cut in two."""


class Cartesia:
    """Says everything with the same sound."""

    def __init__(self, line: Line, sound: bytes) -> None:
        self.line = line
        self.sound = sound
        self.asked: list[dict[str, Any]] = []

    async def converse(self, connection: ServerConnection, query: dict[str, list[str]]) -> None:
        async for message in connection:
            self.line.heard.append(message)
            asked = json.loads(message)
            if asked.get("cancel") or not asked.get("transcript"):
                continue
            self.asked.append(asked)
            context = asked["context_id"]
            pieces = [self.sound[at : at + PIECE] for at in range(0, len(self.sound), PIECE)]
            await connection.send(_chunk(context, pieces[0]))
            if self.line.fault:
                await misbehave(connection, self.line.fault, ERROR)
                return
            await connection.send(_chunk("of another time", b"\1\1\1"))
            await connection.send(json.dumps({"type": "new_kind", "context_id": context}))
            for piece in pieces[1:]:
                await connection.send(_chunk(context, piece))
            done = {"type": "done", "done": True, "status_code": 200, "context_id": context}
            await connection.send(json.dumps(done))


def _chunk(context: str, piece: bytes) -> str:
    return json.dumps(
        {
            "type": "chunk",
            "data": base64.b64encode(piece).decode(),
            "done": False,
            "status_code": 206,
            "step_time": 1.5,
            "context_id": context,
            "new_field": 1,
        }
    )


@asynccontextmanager
async def cartesia(sound: bytes, **line: Any) -> AsyncIterator[Cartesia]:  # noqa: ANN401
    """Serve it."""
    fake = Cartesia(Line("Authorization", f"Bearer {KEY}", **line), sound)
    async with serving(fake.line, fake):
        yield fake
