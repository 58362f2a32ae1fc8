from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path

import pytest

from adapters.llm.retrieval.embedding import CachedEncoder, MiniLm
from adapters.llm.retrieval.engine import RetrievalEngine
from tests.adapters.llm.scenario import Played, play
from voicemesh.bots import Bots

BOTS = Path(__file__).parents[3] / "bots"
FOLDER = Path(__file__).parent / "scenarios"
FILES = sorted(FOLDER.glob("*.txt"))

pytestmark = pytest.mark.models


@cache
def encoder() -> CachedEncoder:
    return CachedEncoder(MiniLm())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_front_desk_answers_as_written(file: Path) -> None:
    written = file.read_text()
    said = asyncio.run(held(written)).text
    if os.environ.get("VOICEMESH_REWRITE"):
        file.write_text(said)
    assert said == file.read_text()


async def held(text: str) -> Played:
    engine = RetrievalEngine(encoder=encoder)
    await engine.start()
    try:
        return await play(engine, text, Bots.load(BOTS))
    finally:
        await engine.stop()
