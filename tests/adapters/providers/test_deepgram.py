"""Deepgram: our engine and Deepgram's own SDK against the same fake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1CloseStream, ListenV1Finalize

from adapters.providers.standing import DENIES
from adapters.stt.deepgram import DeepgramCodec, DeepgramSettings, engine
from tests.adapters.fakes.deepgram import KEY, Deepgram, deepgram
from tests.adapters.providers.support import CLIP, as_bytes, fed, hearing, speech, started, told
from voicemesh.errors import (
    DeadlineMissed,
    Misconfigured,
    Refused,
    Unavailable,
    VoicemeshError,
)

if TYPE_CHECKING:
    from adapters.providers.listening import ListeningEngine

SOUND = speech()
SIZE = SOUND.size * 2


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


def made(fake: Deepgram, **settings: object) -> ListeningEngine:
    values = {"url": fake.line.url, "secret": "env:THE_KEY", **settings}
    return engine(DeepgramSettings.model_validate(values))


@pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")  # the SDK's own import
async def test_the_vendors_sdk_talks_to_the_fake() -> None:
    async with deepgram(CLIP.text, SIZE) as fake:
        url = fake.line.url
        environment = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
        client = AsyncDeepgramClient(api_key=KEY, environment=environment)
        words, changing, ended = "", 0, False
        async with client.listen.v1.connect(
            model="nova-3", encoding="linear16", sample_rate="16000", interim_results="true"
        ) as line:
            sound = as_bytes(SOUND)
            for start in range(0, len(sound), 3200):
                await line.send_media(sound[start : start + 3200])
            await line.send_finalize(ListenV1Finalize(type="Finalize"))
            await line.send_close_stream(ListenV1CloseStream(type="CloseStream"))
            async for message in line:
                if message.type == "Results":
                    changing += not message.is_final
                    if message.from_finalize:
                        words = message.channel.alternatives[0].transcript
                ended = ended or message.type == "Metadata"
    assert (words, ended) == (CLIP.text, True)
    assert changing > 3
    assert fake.line.sound == sound


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_words_grow_and_become_final(rate: int) -> None:
    sound = speech(rate=rate)
    async with (
        deepgram(CLIP.text, sound.size * 2) as fake,
        started(made(fake)) as deep,
        hearing(deep, rate=rate, phrases=("invoice",)) as recognition,
    ):
        fed(recognition, sound)
        while (heard := await recognition.next()) and heard.text != CLIP.text:
            assert CLIP.text.startswith(heard.text)
            assert not heard.final
        recognition.conclude()
        recognition.finish()
        assert (await told(recognition)).final == ((CLIP.text, sound.size),)
    assert fake.line.sound == as_bytes(sound)
    query = fake.queries[0]
    assert (query["sample_rate"], query["keyterm"]) == ([str(rate)], ["invoice"])


async def test_the_caller_may_go_on_behind_a_final_transcript() -> None:
    async with (
        deepgram(CLIP.text, SIZE) as fake,
        started(made(fake)) as deep,
        hearing(deep, partials=False) as recognition,
    ):
        half = SOUND.size // 2
        fed(recognition, SOUND[:half])
        recognition.conclude()
        first = await recognition.next()
        fed(recognition, SOUND[half:])
        recognition.conclude()
        recognition.conclude()
        recognition.finish()
        rest = await told(recognition)
    assert first is not None
    assert CLIP.text.startswith(first.text)
    assert first.samples == half
    assert rest.final == ((CLIP.text, SOUND.size),) * 2


async def test_a_finalize_without_answer_ends_the_connection_and_another_hears_the_rest() -> None:
    async with deepgram(CLIP.text, SIZE) as fake:
        fake.mute_finalize = True
        async with (
            started(made(fake, settle_seconds=0.05, spares=0)) as deep,
            hearing(deep, partials=False) as recognition,
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
    assert rest.final == ((f"{CLIP.text} {CLIP.text}", 2 * SOUND.size),)
    assert len(fake.queries) == 2


async def test_a_second_utterance_finds_its_connection_open() -> None:
    async with deepgram(CLIP.text, SIZE) as fake, started(made(fake)) as deep:
        for _ in range(2):
            async with hearing(deep, partials=False) as recognition:
                fed(recognition, SOUND)
                recognition.conclude()
                recognition.finish()
                await told(recognition)
        assert len(fake.queries) == 3  # one for each, and a spare
    await fake.line.left.wait()


async def test_a_spare_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.providers.sockets import Upkeep

    async with deepgram(CLIP.text, SIZE) as fake:
        deep = made(fake)
        monkeypatch.setattr(deep.sockets, "_upkeep", Upkeep('{"type": "KeepAlive"}', 0.02))
        async with started(deep), hearing(deep):
            # Only the spare is silent: the utterance's own connection gets nothing at all.
            await fake.kept_alive.wait()


async def test_keys_that_are_refused_stay_visible_until_they_work() -> None:
    async with (
        deepgram(CLIP.text, SIZE, status=401, complaint=f"bad key {KEY}") as fake,
        started(made(fake)) as deep,
    ):
        async with hearing(deep) as recognition:
            fed(recognition, SOUND)
            recognition.conclude()
            with pytest.raises(Misconfigured) as caught:
                await told(recognition)
        assert caught.value.reason == "PROVIDER_DENIES"
        assert KEY not in caught.value.message
        gauge = DENIES.labels("stt", "deepgram")
        assert (deep.standing.denied, gauge._value.get()) == (True, 1)
        fake.line.status = 0
        async with hearing(deep) as recognition:
            fed(recognition, SOUND)
            recognition.conclude()
            recognition.finish()
            await told(recognition)
        assert (deep.standing.denied, gauge._value.get()) == (False, 0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, Refused), (503, Unavailable), (302, Unavailable), (403, Misconfigured)],
)
async def test_a_refused_handshake_is_our_error(status: int, kind: type[VoicemeshError]) -> None:
    headers = {"Retry-After": "7", "Location": "ws://127.0.0.1:1/"}
    async with (
        deepgram(CLIP.text, SIZE, status=status, answer_headers=headers) as fake,
        started(made(fake)) as deep,
        hearing(deep) as recognition,
    ):
        with pytest.raises(kind) as caught:
            await told(recognition)
    assert caught.value.details["status"] == str(status)
    assert status != 429 or caught.value.details["retry_after"] == "7"


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
async def test_what_breaks_is_the_providers_fault(fault: str, reason: str) -> None:
    async with deepgram(CLIP.text, SIZE, fault=fault) as fake:
        quick = made(fake, settle_seconds=0.05, first_seconds=0.2 if fault == "stall" else 10)
        async with started(quick) as deep, hearing(deep) as recognition:
            fed(recognition, SOUND)
            recognition.conclude()
            with pytest.raises((Unavailable, DeadlineMissed)) as caught:
                await told(recognition)
    assert caught.value.reason == reason


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    async with deepgram(CLIP.text, SIZE) as fake:
        pass
    async with started(made(fake)) as deep, hearing(deep) as recognition:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await told(recognition)


async def test_closing_leaves_the_provider_at_once_and_says_so() -> None:
    async with deepgram(CLIP.text, SIZE) as fake, started(made(fake, spares=0)) as deep:
        async with hearing(deep) as recognition:
            fed(recognition, SOUND)
            while await recognition.next() is None:
                pass
        await fake.line.left.wait()
    assert json.loads(fake.line.heard[-1]) == {"type": "CloseStream"}


async def test_more_utterances_than_allowed_are_refused() -> None:
    async with deepgram(CLIP.text, SIZE) as fake, started(made(fake, connections=1)) as deep:
        async with hearing(deep):
            with pytest.raises(Refused, match="connections"):
                async with hearing(deep):
                    pass
        async with hearing(deep):
            pass


@pytest.mark.parametrize(
    "frame",
    [
        "[]",
        "nonsense",
        "[" * 50_000,
        '{"type": "Results"}',
        '{"type": "Results", "channel": {"alternatives": []}}',
        '{"type": "Results", "channel": {"alternatives": [{"transcript": 7}]}}',
        '{"type": "Results", "channel": 7}',
    ],
)
def test_messages_of_another_form_are_refused(frame: str) -> None:
    with pytest.raises(Unavailable) as caught:
        DeepgramCodec().take(frame)
    assert caught.value.reason == "BAD_PROVIDER"
