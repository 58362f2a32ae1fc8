"""A voice dies in the middle of a sentence: the next one goes on where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from orchestrator import commands, events
from orchestrator.conversation import CallFacts, Conversation
from orchestrator.heard import Pace
from orchestrator.voices import AUDIBLE
from voicemesh.bots import Bot
from voicemesh.journal import Memory, fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.api.journal.v1 import journal_pb2

RATE = 8000
GREETING = "Welcome to the little restaurant by the harbour, how can I help you today?"
SAMPLES_PER_CHARACTER = 500


def sound(engine: str, text: str) -> bytes:
    """Return an engine's sound of a text: its own, and as long as the text."""
    size = SAMPLES_PER_CHARACTER * len(text.replace(" ", ""))
    level = 1000 if engine == "first" else 2000
    return np.full(size, level, "<i2").tobytes()


class Talk:
    """A bot that greets, its voice in the hands of the test."""

    def __init__(self, *, label: str = "", memory: Memory | None = None, held: int = 0) -> None:
        tts = [{"name": name, "sound": label} for name in ("first", "second")]
        bot = Bot.model_validate({"name": "desk", "greeting": GREETING, "engines": {"tts": tts}})
        facts = CallFacts("call", "desk", RATE, "r", buffered_offset=held, played_offset=held)
        self.conversation = Conversation(bot, facts, memory or Memory(), 0.0)
        self.sent = bytearray()
        self.journal: list[journal_pb2.Entry] = []
        self.said: list[commands.Say] = []
        self.spoken: list[commands.Speak] = []
        self.first_offset = held
        self._take(self.conversation.start(0.0))

    def _take(self, todo: Iterable[commands.Command]) -> None:
        for command in todo:
            match command:
                case commands.SendAudio(offset, data):
                    assert offset == self.first_offset + len(self.sent) // 2, "a gap"
                    self.sent += data
                case commands.Write(entry):
                    self.journal.append(entry)
                case commands.Say():
                    self.said.append(command)
                case commands.Speak():
                    self.spoken.append(command)

    def happens(self, *happened: events.Event, now: float = 0.1) -> None:
        for event in happened:
            self._take(self.conversation.handle(event, now))

    def hear(self, data: bytes) -> None:
        say = self.said[-1]
        self.happens(
            events.SentenceSounding(say.speech, say.sentence, 0.0),
            events.SoundArrived(say.speech, data),
        )

    def end(self) -> None:
        say = self.said[-1]
        self.happens(events.SentenceSounded(say.speech, say.sentence))

    def die(self) -> None:
        self.happens(events.SpeechFailed(self.said[-1].speech, "died"))

    def of(self, kind: str) -> list[object]:
        return [getattr(entry, kind) for entry in self.journal if entry.HasField(kind)]  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(1, len(sound("first", GREETING)) // 2 - 1))
def test_equal_voices_join_at_the_very_sample(died: int) -> None:
    talk = Talk(label="one")
    whole = sound("first", GREETING)
    talk.hear(whole[: 2 * died])
    talk.die()
    assert talk.said[-1].text == GREETING
    talk.hear(whole)
    talk.end()
    assert bytes(talk.sent) == whole
    [taken] = talk.of("sentence_taken_over")
    assert (taken.engine, taken.offset, taken.start_offset) == ("second", died, 0)  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.integers(1, len(sound("first", GREETING)) // 2 - 1))
def test_another_voice_goes_on_with_the_words_that_are_left(died: int) -> None:
    talk = Talk()
    whole = sound("first", GREETING)
    talk.hear(whole[: 2 * died])
    talk.die()
    rest = talk.said[-1].text
    assert GREETING.endswith(rest)
    # The word in the middle of which it died is the first or the second one of the rest.
    said = GREETING.removesuffix(rest)
    assert abs(len(said.replace(" ", "")) * SAMPLES_PER_CHARACTER - died) <= 8 * 500
    talk.hear(sound("second", rest))
    talk.end()
    assert bytes(talk.sent) == whole[: 2 * died] + sound("second", rest)
    [taken] = talk.of("sentence_taken_over")
    assert GREETING[taken.character :] == rest  # type: ignore[attr-defined]
    assert (taken.engine, taken.offset, taken.start_offset) == ("second", died, died)  # type: ignore[attr-defined]
    [finished] = talk.of("sentence_finished")
    assert (finished.start_offset, finished.end_offset) == (0, len(talk.sent) // 2)  # type: ignore[attr-defined]


def test_a_session_that_takes_the_call_up_goes_on_with_the_same_words() -> None:
    talk = Talk()
    talk.hear(sound("first", GREETING)[:30_000])
    talk.die()
    rest = talk.said[-1].text
    talk.hear(sound("second", rest)[:4_000])
    held = len(talk.sent) // 2
    later = Talk(memory=fold(talk.journal), held=held)
    assert later.said[-1].text == rest
    later.hear(sound("second", rest))
    later.end()
    assert bytes(talk.sent + later.sent) == sound("first", GREETING)[:30_000] + sound(
        "second", rest
    )


def test_silence_is_no_sound_and_is_not_sent() -> None:
    talk = Talk()
    quiet = np.full(8000, AUDIBLE - 1, "<i2").tobytes()
    talk.hear(quiet)
    assert not talk.sent
    talk.end()
    assert [speak.choice.name for speak in talk.spoken] == ["first", "second"]
    # Before a sound that can be heard it is a part of the sentence.
    talk.hear(quiet)
    talk.happens(events.SoundArrived(talk.said[-1].speech, sound("second", "hello")))
    assert bytes(talk.sent) == quiet + sound("second", "hello")


def test_sound_that_cannot_be_all_of_it_is_not_taken_for_the_sentence() -> None:
    talk = Talk(label="one")
    talk.hear(np.full(11, 9000, "<i2").tobytes())
    talk.end()
    assert [speak.choice.name for speak in talk.spoken] == ["first", "second"]
    talk.hear(sound("second", GREETING))
    talk.end()
    assert len(talk.sent) == len(sound("second", GREETING))
    # Where nobody is left to ask, it is taken as it is.
    alone = Talk()
    for _ in range(2):
        alone.hear(np.full(11, 9000, "<i2").tobytes())
        alone.end()
    assert len(alone.of("sentence_finished")) == 1


def test_where_only_the_end_was_missing_nothing_is_said_again() -> None:
    pace = Pace()
    pace.learn("a", "ten chars!", 1.0)
    assert pace.rest("a", "ten chars!", 1.01) == len("ten chars!")
    assert pace.rest("a", "ten chars!", 0.5) == len("ten ")
    assert pace.rest("b", "ten chars!", 0.7) == len("ten ")


@pytest.mark.parametrize("seconds", [0.0, 0.2, 5.0, 500.0])
@given(text=st.text(min_size=1, max_size=60))
def test_the_rest_begins_at_a_word(text: str, seconds: float) -> None:
    index = Pace().rest("a", text, seconds)
    assert index == len(text) or not text[:index] or text[index - 1].isspace()
