"""The scheduling of Whisper's two models, with a listener that answers when the test lets it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from adapters.config import AdapterSettings
from adapters.recognition import Heard, Recognition, RecognitionRequest
from adapters.stt.whisper import Models, WhisperEngine
from voicemesh.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicemesh.audio import Samples

RATE = 16000
TENTH = np.ones(RATE // 10, np.int16)


class Gate:
    """A listener that hears how long the sound is, once it may."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.entered = asyncio.Event()
        self.error: Exception | None = None
        self._open = threading.Event()
        self._open.set()
        self._loop = asyncio.get_running_loop()

    def shut(self) -> None:
        self.entered.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def knows(self, language: str) -> bool:
        return language == "en"

    def words(self, sound: Samples, *, beam: int, language: str = "en") -> str:
        self.heard.append(sound.size)
        self._loop.call_soon_threadsafe(self.entered.set)
        self._open.wait()
        if self.error:
            raise self.error
        return f"{sound.size // TENTH.size} tenths"


class Rig:
    """An engine over two gates."""

    def __init__(self, **settings: int) -> None:
        self.partial, self.final = Gate(), Gate()
        self.engine = WhisperEngine(
            AdapterSettings.model_validate(settings),
            lambda _: Models(self.partial, self.final),
        )

    def recognize(self, *, rate: int = RATE, partials: bool = False) -> Recognition:
        return self.engine.recognize(RecognitionRequest(rate, partials=partials))


@asynccontextmanager
async def running(**settings: int) -> AsyncIterator[Rig]:
    rig = Rig(**settings)
    await rig.engine.start()
    for gate in (rig.partial, rig.final):
        gate.heard.clear()
        gate.entered.clear()
    try:
        yield rig
    finally:
        rig.partial.open()
        rig.final.open()
        await rig.engine.stop()


def feed(recognition: Recognition, tenths: int) -> None:
    for _ in range(tenths):
        recognition.feed(TENTH)


async def rest(recognition: Recognition) -> list[Heard]:
    recognition.finish()
    transcripts = []
    while (heard := await recognition.next()) is not None:
        transcripts.append(heard)
    return transcripts


async def test_a_final_covers_what_was_fed_when_it_was_asked_for() -> None:
    async with running() as rig:
        recognition = rig.recognize()
        rig.final.shut()
        feed(recognition, 5)
        recognition.conclude()
        await rig.final.entered.wait()
        feed(recognition, 3)
        rig.final.open()
        (heard,) = await rest(recognition)
    assert (heard.text, heard.final, heard.samples) == ("5 tenths", True, 5 * TENTH.size)


async def test_concludes_that_still_wait_are_answered_together() -> None:
    async with running() as rig:
        rig.final.shut()
        blocker, recognition = rig.recognize(), rig.recognize()
        feed(blocker, 1)
        blocker.conclude()
        await rig.final.entered.wait()
        for tenths in (2, 3):
            feed(recognition, tenths)
            recognition.conclude()
        rig.final.open()
        heard = await rest(recognition)
    assert [final.text for final in heard] == ["5 tenths", "5 tenths"]
    assert [size // TENTH.size for size in rig.final.heard] == [1, 5]


async def test_without_new_audio_the_final_is_given_again() -> None:
    async with running() as rig:
        recognition = rig.recognize()
        feed(recognition, 2)
        recognition.conclude()
        first = await recognition.next()
        recognition.conclude()
        (again,) = await rest(recognition)
    assert first is not None
    assert (first.text, again.text, again.samples) == ("2 tenths", "2 tenths", 2 * TENTH.size)
    assert len(rig.final.heard) == 1


async def test_nothing_fed_is_nothing_said() -> None:
    async with running() as rig:
        recognition = rig.recognize()
        recognition.conclude()
        (heard,) = await rest(recognition)
    assert (heard.text, heard.final, heard.samples) == ("", True, 0)


async def test_eight_kilohertz_are_counted_as_such_and_heard_at_sixteen() -> None:
    async with running() as rig:
        recognition = rig.recognize(rate=8000)
        recognition.feed(np.ones(8000, np.int16))
        recognition.conclude()
        (heard,) = await rest(recognition)
    assert heard.samples == 8000
    assert RATE - 64 <= rig.final.heard[0] <= RATE


async def test_a_partial_comes_every_400_ms_and_never_waits() -> None:
    async with running() as rig:
        recognition = rig.recognize(partials=True)
        feed(recognition, 3)
        assert rig.partial.heard == []
        rig.partial.shut()
        feed(recognition, 1)
        await rig.partial.entered.wait()
        other = rig.recognize(partials=True)
        feed(other, 9)
        feed(recognition, 9)
        rig.partial.open()
        heard = await recognition.next()
        assert heard is not None
        assert (heard.text, heard.final) == ("4 tenths", False)
        assert [size // TENTH.size for size in rig.partial.heard] == [4]
        feed(other, 1)
        assert (await other.next()) is not None
        assert [size // TENTH.size for size in rig.partial.heard] == [4, 10]


async def test_no_partial_is_begun_or_shown_once_a_final_was_asked_for() -> None:
    async with running() as rig:
        recognition = rig.recognize(partials=True)
        rig.partial.shut()
        rig.final.shut()
        feed(recognition, 4)
        await rig.partial.entered.wait()
        recognition.conclude()
        await rig.final.entered.wait()
        rig.partial.open()
        feed(recognition, 20)
        rig.final.open()
        heard = await rest(recognition)
    assert [transcript.final for transcript in heard] == [True]
    assert len(rig.partial.heard) == 1


async def test_while_the_line_is_full_new_utterances_are_refused() -> None:
    async with running(stt_waiting=2) as rig:
        rig.final.shut()
        recognitions = [rig.recognize() for _ in range(3)]
        for recognition in recognitions:
            feed(recognition, 1)
            recognition.conclude()
        await rig.final.entered.wait()
        with pytest.raises(Refused):
            rig.recognize()
        recognitions[-1].close()
        await asyncio.sleep(0)
        rig.recognize().close()
        rig.final.open()
        assert [len(await rest(recognition)) for recognition in recognitions[:2]] == [1, 1]
    assert len(rig.final.heard) == 2


async def test_closing_leaves_the_line_and_hides_what_runs() -> None:
    async with running() as rig:
        rig.final.shut()
        running_, waiting = rig.recognize(), rig.recognize()
        for recognition in (running_, waiting):
            feed(recognition, 1)
            recognition.conclude()
        await rig.final.entered.wait()
        running_.close()
        waiting.close()
        rig.final.open()
        later = rig.recognize()
        feed(later, 3)
        later.conclude()
        assert [heard.text for heard in await rest(later)] == ["3 tenths"]
        assert rig.engine.finals.waiting == 0
    assert [size // TENTH.size for size in rig.final.heard] == [1, 3]


@pytest.mark.parametrize("which", ["partial", "final"])
async def test_a_model_that_fails_fails_the_utterance_only(which: str) -> None:
    async with running() as rig:
        gate = rig.partial if which == "partial" else rig.final
        gate.error = RuntimeError("broken")
        recognition = rig.recognize(partials=which == "partial")
        feed(recognition, 5)
        if which == "final":
            recognition.conclude()
        with pytest.raises(RuntimeError, match="broken"):
            await recognition.next()
        gate.error = None
        other = rig.recognize()
        feed(other, 1)
        other.conclude()
        assert len(await rest(other)) == 1


async def test_an_unknown_language_is_refused() -> None:
    async with running() as rig:
        with pytest.raises(InvalidInput):
            rig.engine.recognize(RecognitionRequest(RATE, language="tlh"))
