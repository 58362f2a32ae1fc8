"""Google and Riva: our engines against fakes that their own stubs were run against by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.providers.wire import Wire
from adapters.stt import google as google_stt, riva as riva_stt
from adapters.synthesis import SynthesisRequest
from adapters.tts import google as google_tts, riva as riva_tts
from tests.adapters.fakes.grpc_speech import KEY, Fake, speech_server
from tests.adapters.providers.support import CLIP, as_bytes, fed, hearing, speech, started, told
from voicemesh.errors import (
    DeadlineMissed,
    Misconfigured,
    Refused,
    Unavailable,
    VoicemeshError,
)

SOUND = speech()
SIZE = SOUND.size * 2
STT = {"google": google_stt, "riva": riva_stt}
TTS = {"google": google_tts, "riva": riva_tts}
NAMES = ["google", "riva"]
FAULTS = [
    ("reset", Unavailable, "PROVIDER_GONE"),
    ("garbage", Unavailable, "BAD_PROVIDER"),
    ("denied", Misconfigured, "PROVIDER_DENIES"),
    ("full", Refused, "PROVIDER_FULL"),
    ("broken", Unavailable, "PROVIDER_FAILED"),
    ("stall", DeadlineMissed, "PROVIDER_SILENT"),
]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


def made(modules: dict[str, Any], name: str, fake: Fake, **settings: object) -> Any:  # noqa: ANN401
    module = modules[name]
    values = {"url": f"grpc://{fake.address}", "secret": "env:THE_KEY", **settings}
    return module.engine(module.SETTINGS.model_validate(values))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [8000, 16000])
async def test_words_grow_and_become_final(name: str, rate: int) -> None:
    sound = speech(rate=rate)
    async with (
        speech_server(text=CLIP.text, size=sound.size * 2) as fake,
        started(made(STT, name, fake, first_seconds=60)) as engine,
        hearing(engine, rate=rate, phrases=("invoice",)) as recognition,
    ):
        fed(recognition, sound)
        while (heard := await recognition.next()) and heard.text != CLIP.text:
            assert CLIP.text.startswith(heard.text)
            assert not heard.final
        recognition.conclude()
        recognition.finish()
        assert (await told(recognition)).final == ((CLIP.text, sound.size),)
    assert bytes(fake.heard) == as_bytes(sound)
    config = str(fake.configs[0])
    assert f"sample_rate_hertz: {rate}" in config
    assert "invoice" in config
    assert fake.metadata[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", NAMES)
async def test_the_caller_may_go_on_and_another_call_hears_the_rest(name: str) -> None:
    async with (
        speech_server(text=CLIP.text, size=SIZE) as fake,
        started(made(STT, name, fake, first_seconds=60)) as engine,
        hearing(engine, partials=False) as recognition,
    ):
        fed(recognition, SOUND)
        recognition.conclude()
        first = await recognition.next()
        fed(recognition, SOUND)
        recognition.conclude()
        recognition.finish()
        rest = await told(recognition)
    assert first is not None
    assert (first.text, first.samples) == (CLIP.text, SOUND.size)
    assert rest.final == ((f"{CLIP.text} {CLIP.text}", 2 * SOUND.size),)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("fault", "kind", "reason"), FAULTS)
async def test_what_breaks_a_recognition_is_the_providers_fault(
    name: str, fault: str, kind: type[VoicemeshError], reason: str
) -> None:
    async with (
        speech_server(text=CLIP.text, size=SIZE, fault=fault) as fake,
        started(made(STT, name, fake, first_seconds=0.3 if fault == "stall" else 20)) as engine,
        hearing(engine) as recognition,
    ):
        fed(recognition, SOUND)
        recognition.conclude()
        with pytest.raises(kind) as caught:
            await told(recognition)
    assert caught.value.reason == reason
    assert KEY not in caught.value.message


async def said(engine: Any, rate: int = 16000) -> bytes:  # noqa: ANN401
    reply = engine.synthesize(SynthesisRequest(rate=rate))
    pieces = [piece async for piece in reply.speak("Hello there.")]
    return as_bytes(np.concatenate(pieces))


@pytest.mark.parametrize("name", NAMES)
async def test_a_sentence_is_spoken(name: str) -> None:
    async with (
        speech_server(sound=as_bytes(SOUND)) as fake,
        started(made(TTS, name, fake)) as engine,
    ):
        assert await said(engine) == as_bytes(SOUND)
    assert fake.texts == ["Hello there."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("fault", "kind", "reason"), FAULTS)
async def test_what_breaks_a_sentence_is_the_providers_fault(
    name: str, fault: str, kind: type[VoicemeshError], reason: str
) -> None:
    async with (
        speech_server(sound=as_bytes(SOUND), fault=fault) as fake,
        started(made(TTS, name, fake, between_seconds=0.3)) as engine,
    ):
        with pytest.raises(kind) as caught:
            await said(engine)
        if fault == "stall":
            await fake.left.wait()
    assert caught.value.reason == reason
    assert KEY not in caught.value.message


@pytest.mark.parametrize("name", NAMES)
async def test_success_without_sound_is_a_failure(name: str) -> None:
    async with (
        speech_server(sound=as_bytes(SOUND), fault="empty") as fake,
        started(made(TTS, name, fake)) as engine,
    ):
        with pytest.raises(VoicemeshError) as caught:
            await said(engine)
    assert caught.value.reason == "NO_AUDIO"


def test_an_api_key_is_no_token() -> None:
    assert google_stt.headers("AIzaSomething") == {"x-goog-api-key": "AIzaSomething"}
    assert google_stt.headers("ya29.a") == {"authorization": "Bearer ya29.a"}
    assert google_stt.headers("") == {}


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05abc", b"\x0a\x02\xc3\x28"])
def test_messages_of_another_form_are_refused(data: bytes) -> None:
    wire = Wire("voicemesh.test", {"Message": {"text": (1, "string")}})
    with pytest.raises(Unavailable) as caught:
        wire.unpacked("Message", data)
    assert caught.value.reason == "BAD_PROVIDER"
