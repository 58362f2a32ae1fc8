"""The scripted recogniser by itself, on the event loop that services run on."""

from __future__ import annotations

import asyncio

import uvloop

from adapters.recognition import RecognitionRequest
from adapters.stt.scripted import ScriptedEngine
from voicemesh.audio import tonetext


def test_words_are_asked_for_more_than_once() -> None:
    async def finals() -> list[str]:
        recognition = ScriptedEngine(0.0).recognize(RecognitionRequest(8000))
        recognition.feed(tonetext.encode("one two", 8000))
        found = []
        for _ in range(3):
            recognition.conclude()
            heard = await recognition.next()
            found.append(heard.text if heard else "")
        recognition.close()
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(finals()) == ["one two"] * 3
