"""OpenAI-compatible transcription: our engine and OpenAI's own SDK against the same fake."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI

from adapters.stt.openai import (
    OpenAiTranscriptionEngine,
    OpenAiTranscriptionSettings,
    engine,
)
from tests.adapters.fakes.http import HANG, Answers, answering, event
from tests.adapters.providers.support import CLIP, Told, fed, hearing, speech, started, told
from voicemesh.audio import read_wav, write_wav
from voicemesh.errors import Misconfigured, Refused, Unavailable, VoicemeshError

KEY = "sesame"
SOUND = speech()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


def delta(words: str) -> bytes:
    return event({"type": "transcript.text.delta", "delta": words, "new_field": 1})


def done(words: str) -> bytes:
    return event({"type": "transcript.text.done", "text": words})


STREAM = (
    *(delta(word + " ") for word in CLIP.text.split()),
    event({"type": "transcript.new_kind"}),
    done(CLIP.text),
)
WHOLE = json.dumps({"text": CLIP.text, "new_field": 1}).encode()


def listener(**parts: Any) -> Answers:  # noqa: ANN401
    return Answers(**{"header": "Authorization", "key": f"Bearer {KEY}", "parts": STREAM} | parts)


def made(fake: Answers, **more: object) -> OpenAiTranscriptionEngine:
    values = {"url": fake.url, "secret": "env:THE_KEY", **more}
    return engine(OpenAiTranscriptionSettings.model_validate(values))


async def heard(it: OpenAiTranscriptionEngine, **request: object) -> Told:
    async with hearing(it, **request) as recognition:
        fed(recognition, SOUND)
        recognition.conclude()
        recognition.finish()
        return await told(recognition)


async def test_the_vendors_sdk_talks_to_the_fake() -> None:
    wav = BytesIO()
    write_wav(wav, 16000, SOUND)
    async with (
        answering(listener()) as fake,
        AsyncOpenAI(api_key=KEY, base_url=fake.url) as client,
    ):
        stream = await client.audio.transcriptions.create(
            file=("a.wav", wav.getvalue()), model="gpt-4o-mini-transcribe", stream=True
        )
        events = [one async for one in stream]
        fake.parts, fake.kind = [WHOLE], "application/json"
        answer = await client.audio.transcriptions.create(
            file=("a.wav", wav.getvalue()), model="whisper-1"
        )
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == answer.text == CLIP.text
    assert fake.paths == ["/audio/transcriptions"] * 2


async def test_a_streamed_answer_grows_and_becomes_final() -> None:
    async with answering(listener()) as fake, started(made(fake)) as it:
        heard_ = await heard(it, phrases=("invoice", "address"))
    assert heard_.final == ((CLIP.text, SOUND.size),)
    assert all(CLIP.text.startswith(words) for words in heard_.changing)
    asked = fake.asked[0]
    rate, sound = read_wav(BytesIO(asked["file"]))
    assert rate == 16000
    assert np.array_equal(sound, SOUND)
    assert (asked["language"], asked["stream"], asked["prompt"]) == (
        "en",
        "true",
        "invoice, address",
    )


async def test_changing_words_are_given_while_the_answer_comes() -> None:
    async with (
        answering(listener(parts=[*STREAM[:3], HANG])) as fake,
        started(made(fake)) as it,
        hearing(it) as recognition,
    ):
        fed(recognition, SOUND)
        recognition.conclude()
        first = await recognition.next()
    assert first is not None
    assert not first.final
    assert CLIP.text.startswith(first.text)
    await asyncio.wait_for(fake.left.wait(), 10)  # closing dropped the request


async def test_a_server_that_answers_whole_is_understood() -> None:
    fake_ = listener(parts=[WHOLE], kind="application/json; charset=utf-8")
    async with answering(fake_) as fake, started(made(fake, stream=False)) as it:
        assert (await heard(it)).final == ((CLIP.text, SOUND.size),)
    assert "stream" not in fake.asked[0]


async def test_what_was_answered_already_is_not_asked_again() -> None:
    async with (
        answering(listener()) as fake,
        started(made(fake)) as it,
        hearing(it, partials=False) as recognition,
    ):
        fed(recognition, SOUND)
        recognition.conclude()
        first = await recognition.next()
        recognition.conclude()
        assert first is not None
        second = await recognition.next()
        fed(recognition, SOUND)
        recognition.conclude()
        recognition.finish()
        rest = await told(recognition)
    assert second is not None
    assert (second.text, second.samples) == (first.text, first.samples)
    assert rest.final == ((CLIP.text, 2 * SOUND.size),)
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("answers", "kind", "reason"),
    [
        ({"status": 429, "answer_headers": {"Retry-After": "7"}}, Refused, "PROVIDER_FULL"),
        ({"status": 500}, Unavailable, "PROVIDER_FAILED"),
        ({"key": "other"}, Misconfigured, "PROVIDER_DENIES"),
        ({"parts": [b"{broken"], "kind": "application/json"}, Unavailable, "BAD_PROVIDER"),
        ({"parts": [b'{"text": 7}'], "kind": "application/json"}, Unavailable, "BAD_PROVIDER"),
        ({"parts": [b"data: {broken\n\n"]}, Unavailable, "BAD_PROVIDER"),
        ({"parts": STREAM[:3]}, Unavailable, "BAD_PROVIDER"),
        ({"parts": STREAM[:3], "torn": True}, Unavailable, "PROVIDER_GONE"),
        ({"parts": [STREAM[0], HANG]}, VoicemeshError, "PROVIDER_SILENT"),
        ({"parts": [event({"error": {"message": "boom"}})]}, Unavailable, "PROVIDER_FAILED"),
    ],
)
async def test_what_breaks_is_the_providers_fault(
    answers: dict[str, Any], kind: type[VoicemeshError], reason: str
) -> None:
    async with (
        answering(listener(**answers)) as fake,
        started(made(fake, between_seconds=0.2)) as it,
    ):
        with pytest.raises(kind) as caught:
            await heard(it)
    assert caught.value.reason == reason
