"""Requests in short, and replies put together."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.language import (
    Finished,
    GenerationRequest,
    Message,
    Role,
    TextPiece,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from adapters.language import FinishReason, LanguageEngine


@dataclass(frozen=True)
class Whole:
    """A reply, put together."""

    pieces: tuple[str, ...]
    calls: tuple[tuple[str, Any], ...]
    reason: FinishReason

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def said(*texts: str) -> tuple[Message, ...]:
    """Return a conversation in which the caller says these, without any answers."""
    return tuple(Message(Role.CALLER, text) for text in texts)


def asking(*texts: str) -> GenerationRequest:
    """Return a request after the caller has said these."""
    return GenerationRequest(said(*texts))


async def whole(engine: LanguageEngine, request: GenerationRequest) -> Whole:
    """Generate a reply and put it together."""
    pieces: list[str] = []
    calls: list[tuple[str, Any]] = []
    async for piece in engine.generate(request):
        if isinstance(piece, TextPiece):
            pieces.append(piece.text)
        elif isinstance(piece, ToolCall):
            calls.append((piece.name, json.loads(piece.arguments_json)))
        else:
            assert isinstance(piece, Finished)
            return Whole(tuple(pieces), tuple(calls), piece.reason)
    raise AssertionError("it never finished")


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """Encode texts by the words that they share, which is exact and quick."""
    import zlib

    import numpy as np

    from adapters.llm.retrieval.words import tokens

    rows = np.zeros((len(texts), 512), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in tokens(text):
            row[zlib.crc32(word.encode()) % 512] += 1
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return rows


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)
