"""Soniox and Speechmatics: our engines and their own SDKs against the same fakes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from soniox import AsyncSonioxClient
from soniox.types import RealtimeSTTConfig
from speechmatics.rt import (
    AsyncClient,
    AudioEncoding,
    AudioFormat,
    ServerMessageType,
    TranscriptionConfig,
)

from adapters.stt.soniox import SonioxCodec, SonioxSettings, engine as soniox_engine
from adapters.stt.speechmatics import (
    SpeechmaticsCodec,
    SpeechmaticsSettings,
    engine as speechmatics_engine,
)
from tests.adapters.fakes.soniox import KEY, Soniox, soniox
from tests.adapters.fakes.speechmatics import Speechmatics, speechmatics
from tests.adapters.providers.support import CLIP, as_bytes, fed, hearing, speech, started, told
from voicemesh.errors import DeadlineMissed, Misconfigured, Refused, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.providers.listening import ListeningEngine

SOUND = speech()
SIZE = SOUND.size * 2
NAMES = ["soniox", "speechmatics"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


@asynccontextmanager
async def fake_of(name: str, size: int = SIZE, **line: Any) -> AsyncIterator[Any]:  # noqa: ANN401
    serve = soniox if name == "soniox" else speechmatics
    async with serve(CLIP.text, size, **line) as fake:
        yield fake


def made(fake: Soniox | Speechmatics, **settings: object) -> ListeningEngine:
    values = {"url": fake.line.url, "secret": "env:THE_KEY", **settings}
    if isinstance(fake, Soniox):
        return soniox_engine(SonioxSettings.model_validate(values))
    return speechmatics_engine(SpeechmaticsSettings.model_validate(values))


async def test_sonioxs_sdk_talks_to_the_fake() -> None:
    sound = as_bytes(SOUND)
    async with soniox(CLIP.text, SIZE) as fake:
        client = AsyncSonioxClient(api_key=KEY, websocket_base_url=fake.line.url)
        config = RealtimeSTTConfig(
            model="stt-rt-v5", audio_format="pcm_s16le", sample_rate=16000, num_channels=1
        )
        words, changing = "", 0
        async with client.realtime.stt.connect(config=config) as line:
            for start in range(0, len(sound), 3200):
                await line.send_byte_chunk(sound[start : start + 3200])
            await line.finish()
            async for event in line.receive_events():
                words += "".join(token.text for token in event.tokens if token.is_final)
                changing += any(not token.is_final for token in event.tokens)
    assert words.strip() == CLIP.text
    assert changing > 3
    assert fake.line.sound == sound


async def test_speechmatics_sdk_talks_to_the_fake() -> None:
    sound = as_bytes(SOUND)
    async with speechmatics(CLIP.text, SIZE) as fake:
        words: list[str] = []
        ended = asyncio.Event()
        async with AsyncClient(api_key=KEY, url=f"{fake.line.url}/v2") as client:

            @client.on(ServerMessageType.ADD_TRANSCRIPT)
            def _heard(message: dict[str, Any]) -> None:
                words.append(message["metadata"]["transcript"].strip())

            @client.on(ServerMessageType.END_OF_UTTERANCE)
            def _ended(_: dict[str, Any]) -> None:
                ended.set()

            await client.start_session(
                transcription_config=TranscriptionConfig(language="en"),
                audio_format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000),
            )
            for start in range(0, len(sound), 3200):
                await client.send_audio(sound[start : start + 3200])
            await client.force_end_of_utterance()
            async with asyncio.timeout(30):
                await ended.wait()
            await client.stop_session()
    assert " ".join(words).strip() == CLIP.text
    assert fake.line.sound == sound


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [8000, 16000])
async def test_words_grow_and_become_final(name: str, rate: int) -> None:
    sound = speech(rate=rate)
    async with (
        fake_of(name, sound.size * 2) as fake,
        started(made(fake)) as engine,
        hearing(engine, rate=rate, phrases=("invoice",)) as recognition,
    ):
        fed(recognition, sound)
        while (heard := await recognition.next()) and heard.text != CLIP.text:
            assert CLIP.text.startswith(heard.text)
            assert not heard.final
        recognition.conclude()
        recognition.finish()
        assert (await told(recognition)).final == ((CLIP.text, sound.size),)
    assert fake.line.sound == as_bytes(sound)
    config = json.dumps(fake.configs[0])
    assert f'"sample_rate": {rate}' in config
    assert "invoice" in config


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mute", [False, True])
async def test_the_caller_may_go_on_behind_a_final_transcript(name: str, *, mute: bool) -> None:
    async with fake_of(name) as fake:
        fake.mute = mute
        async with (
            started(made(fake, settle_seconds=0.05 if mute else 5.0, first_seconds=30)) as engine,
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
    assert first.text == CLIP.text
    # One connection has said everything; where it had to be ended, another one hears it all anew.
    again = f"{CLIP.text} {CLIP.text}" if mute else CLIP.text
    assert rest.final == ((again, 2 * SOUND.size),)
    assert len(fake.configs) == 1 + mute


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("status", "kind"), [(401, Misconfigured), (429, Refused), (503, Unavailable)]
)
async def test_a_refused_handshake_is_our_error(
    name: str, status: int, kind: type[VoicemeshError]
) -> None:
    async with (
        fake_of(name, status=status) as fake,
        started(made(fake)) as engine,
        hearing(engine) as recognition,
    ):
        with pytest.raises(kind):
            await told(recognition)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("reset", "PROVIDER_GONE"),
        ("garbage", "BAD_PROVIDER"),
        ("other_form", "BAD_PROVIDER"),
        ("error", "PROVIDER_FAILED"),
        ("early_end", "PROVIDER_FAILED"),
        ("stall", "PROVIDER_SILENT"),
    ],
)
async def test_what_breaks_is_the_providers_fault(name: str, fault: str, reason: str) -> None:
    async with fake_of(name, fault=fault) as fake:
        quick = made(fake, settle_seconds=0.05, first_seconds=0.2 if fault == "stall" else 10)
        async with started(quick) as engine, hearing(engine) as recognition:
            fed(recognition, SOUND)
            recognition.conclude()
            with pytest.raises((Unavailable, DeadlineMissed)) as caught:
                await told(recognition)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"error_code": 401, "error_message": "Invalid API key."}, Misconfigured),
        ({"error_code": 429, "error_message": "Too many."}, Refused),
        ({"error_code": 503, "error_message": "Later."}, Unavailable),
        ({"tokens": [{"is_final": True}]}, Unavailable),
        ({"tokens": 7}, Unavailable),
    ],
)
def test_sonioxs_failures(message: dict[str, Any], kind: type[VoicemeshError]) -> None:
    with pytest.raises(kind):
        SonioxCodec({}).take(json.dumps(message))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"message": "Error", "type": "not_authorised", "reason": "no"}, Misconfigured),
        ({"message": "Error", "type": "quota_exceeded", "reason": "no"}, Refused),
        ({"message": "Error", "type": "internal_error", "reason": "no"}, Unavailable),
        ({"message": "AddTranscript"}, Unavailable),
        ({"message": "AddTranscript", "metadata": {"transcript": 7}}, Unavailable),
    ],
)
def test_speechmatics_failures(message: dict[str, Any], kind: type[VoicemeshError]) -> None:
    with pytest.raises(kind):
        SpeechmaticsCodec(16000, {}).take(json.dumps(message))
