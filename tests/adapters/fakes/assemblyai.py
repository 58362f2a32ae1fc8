"""AssemblyAI's ``/v3/ws`` on loopback; its own SDK talks to it too."""

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
ERROR = json.dumps({"type": "Error", "error_code": 3005, "error": "Server error"})


class AssemblyAi:
    """Hears `text` in `size` bytes; may think that a turn is over by itself."""

    def __init__(self, line: Line, text: str, size: int) -> None:
        self.line = line
        self.text, self.size = text, size
        self.pauses_after = 0
        """Words after which it thinks that the first turn is over; 0: never."""
        self.mute_endpoint = False
        """Whether it gives no answer to ``ForceEndpoint``, as where nothing was said."""
        self.queries: list[dict[str, list[str]]] = []

    async def converse(self, connection: ServerConnection, query: dict[str, list[str]]) -> None:
        self.queries.append(query)
        ears, rate, turn = Ears(self.text, self.size), int(query["sample_rate"][0]), 0
        begin = {"type": "Begin", "id": "s", "expires_at": 1893456000, "new_field": 1}
        await connection.send(json.dumps(begin))
        async for message in connection:
            self.line.heard.append(message)
            if self.line.fault and isinstance(message, bytes):
                await misbehave(connection, self.line.fault, ERROR)
                return
            if isinstance(message, bytes):
                if not 0.05 <= len(message) / 2 / rate <= 1.0:
                    await _refuse_length(connection)
                    return
                if ears.feed(message):
                    over = not turn and 0 < self.pauses_after <= len(ears.words.split())
                    await connection.send(_turn(turn, ears.take() if over else ears.words, over))
                    turn += over
                continue
            if json.loads(message)["type"] == "Terminate":
                await self._end(connection, ears, turn, rate)
                return
            if "ForceEndpoint" in message and not self.mute_endpoint:
                await connection.send(_turn(turn, ears.take(), True))
                turn += 1

    async def _end(self, connection: ServerConnection, ears: Ears, turn: int, rate: int) -> None:
        if ears.words:
            await connection.send(_turn(turn, ears.take(), True))
        await connection.send(_termination(ears.heard / 2 / rate))


async def _refuse_length(connection: ServerConnection) -> None:
    error = {"type": "Error", "error_code": 3007, "error": "Input Duration Error"}
    await connection.send(json.dumps(error))
    await connection.close(3007)


def _turn(order: int, words: str, over: bool) -> str:
    return json.dumps(
        {
            "type": "Turn",
            "turn_order": order,
            "turn_is_formatted": False,
            "end_of_turn": over,
            "transcript": words,
            "end_of_turn_confidence": 0.5,
            "words": [
                {"start": 0, "end": 1, "confidence": 0.9, "text": word, "word_is_final": over}
                for word in words.split()
            ],
            "utterance": "",
        }
    )


def _termination(seconds: float) -> str:
    return json.dumps(
        {
            "type": "Termination",
            "audio_duration_seconds": round(seconds),
            "session_duration_seconds": round(seconds),
        }
    )


@asynccontextmanager
async def assemblyai(text: str, size: int, **line: Any) -> AsyncIterator[AssemblyAi]:  # noqa: ANN401
    """Serve it."""
    fake = AssemblyAi(Line("Authorization", KEY, **line), text, size)
    async with serving(fake.line, fake):
        yield fake
