"""ElevenLabs' ``stream-input`` on loopback; its own SDK, which speaks TLS only, talks to it too."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.adapters.fakes.sockets import Line, misbehave, serving

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from websockets.asyncio.server import ServerConnection

KEY = "sesame"
ERROR = json.dumps({"message": "something broke", "error": "internal", "code": 1011})
PIECE = 4001
"""Bytes of sound in a message; odd, so that samples are cut in two."""


class ElevenLabs:
    """Says everything with the same sound."""

    def __init__(self, line: Line, sound: bytes) -> None:
        self.line = line
        self.sound = sound
        self.texts: list[str] = []
        self.queries: list[dict[str, list[str]]] = []

    async def converse(self, connection: ServerConnection, query: dict[str, list[str]]) -> None:
        self.queries.append(query)
        words = ""
        async for message in connection:
            self.line.heard.append(message)
            part = json.loads(message)["text"]
            words += part
            if part == "":
                break
        if not words:
            return  # opened ahead, and never needed
        self.texts.append(words.strip())
        pieces = [self.sound[at : at + PIECE] for at in range(0, len(self.sound), PIECE)]
        await connection.send(_audio(pieces[0]))
        if self.line.fault:
            await misbehave(connection, self.line.fault, ERROR)
            return
        for piece in pieces[1:]:
            await connection.send(_audio(piece))
        await connection.send(json.dumps({"audio": None, "isFinal": True, "new_field": 1}))


def _audio(piece: bytes) -> str:
    alignment: dict[str, list[object]] = {
        "chars": [],
        "charStartTimesMs": [],
        "charDurationsMs": [],
    }
    audio = base64.b64encode(piece).decode()
    return json.dumps({"audio": audio, "isFinal": None, "alignment": alignment, "mood": "new"})


@asynccontextmanager
async def elevenlabs(
    sound: bytes,
    tls: ssl.SSLContext | None = None,
    **line: Any,  # noqa: ANN401
) -> AsyncIterator[ElevenLabs]:
    """Serve it."""
    fake = ElevenLabs(Line("xi-api-key", KEY, **line), sound)
    async with serving(fake.line, fake, tls):
        yield fake
