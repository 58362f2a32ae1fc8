"""AssemblyAI: our engine and AssemblyAI's own SDK against the same fake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from assemblyai.streaming.v3 import (
    AsyncStreamingClient,
    SpeechModel,
    StreamingClientOptions,
    StreamingEvents,
    StreamingParameters,
)
from hypothesis import given, strategies as st

from adapters.stt.assemblyai import AssemblyAiCodec, AssemblyAiSettings, engine
from tests.adapters.fakes.assemblyai import KEY, AssemblyAi, assemblyai
from tests.adapters.providers.support import CLIP, as_bytes, fed, hearing, speech, started, told
from voicemesh.errors import Misconfigured, Refused, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from adapters.providers.listening import ListeningEngine

SOUND = speech()
SIZE = SOUND.size * 2


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


def made(fake: AssemblyAi, **settings: object) -> ListeningEngine:
    values = {"url": fake.line.url, "secret": "env:THE_KEY", **settings}
    return engine(AssemblyAiSettings.model_validate(values))


async def test_the_vendors_sdk_talks_to_the_fake() -> None:
    turns: list[Any] = []
    ends: list[Any] = []

    async def on_turn(_: object, event: object) -> None:
        turns.append(event)

    async def on_end(_: object, event: object) -> None:
        ends.append(event)

    async with assemblyai(CLIP.text, SIZE) as fake:
        options = StreamingClientOptions(api_host=fake.line.url, api_key=KEY)
        client = AsyncStreamingClient(options)
        client.on(StreamingEvents.Turn, on_turn)
        client.on(StreamingEvents.Termination, on_end)
        await client.connect(
            StreamingParameters(
                sample_rate=16000,
                speech_model=SpeechModel.universal_streaming_english,
                speaker_labels_revision_interval_ms=None,  # its default, that mypy does not see
            )
        )
        sound = as_bytes(SOUND)
        for start in range(0, len(sound) - 3200, 3200):
            await client.stream(sound[start : start + 3200])
        await client.stream(sound[start + 3200 :].ljust(3200, b"\0"))
        await client.force_endpoint()
        await client.disconnect(terminate=True)
    assert turns[-1].end_of_turn
    assert turns[-1].transcript == CLIP.text
    assert sum(not turn.end_of_turn for turn in turns) > 3
    assert ends[0].audio_duration_seconds == round(SOUND.size / 16000)


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_words_grow_and_become_final(rate: int) -> None:
    sound = speech(rate=rate)
    async with (
        assemblyai(CLIP.text, sound.size * 2) as fake,
        started(made(fake)) as assembly,
        hearing(assembly, rate=rate, phrases=("invoice",)) as recognition,
    ):
        fed(recognition, sound, 100)
        recognition.conclude()
        recognition.finish()
        assert (await told(recognition)).final == ((CLIP.text, sound.size),)
    assert fake.line.sound.startswith(as_bytes(sound))
    query = fake.queries[0]
    assert query["keyterms_prompt"] == ['["invoice"]']
    assert query["speech_model"] == ["universal-streaming-multilingual"]


async def test_changing_words_are_given() -> None:
    async with (
        assemblyai(CLIP.text, SIZE) as fake,
        started(made(fake)) as assembly,
        hearing(assembly) as recognition,
    ):
        fed(recognition, SOUND[: SOUND.size * 3 // 4])
        heard = await recognition.next()
    assert heard is not None
    assert not heard.final
    assert CLIP.text.startswith(heard.text)


async def test_turns_that_the_provider_ends_by_itself_are_put_together() -> None:
    async with assemblyai(CLIP.text, SIZE) as fake:
        fake.pauses_after = 2
        async with started(made(fake)) as assembly, hearing(assembly) as recognition:
            half = SOUND.size // 2
            fed(recognition, SOUND[:half])
            while (heard := await recognition.next()) and len(heard.text.split()) < 3:
                assert not heard.final
            fed(recognition, SOUND[half:])
            recognition.conclude()
            recognition.finish()
            assert (await told(recognition)).final == ((CLIP.text, SOUND.size),)


async def test_a_cough_gives_no_turn_and_is_answered_all_the_same() -> None:
    async with assemblyai("", SIZE) as fake:
        fake.mute_endpoint = True
        async with (
            started(made(fake, settle_seconds=0.05)) as assembly,
            hearing(assembly) as recognition,
        ):
            fed(recognition, SOUND[:4000])
            recognition.conclude()
            heard = await recognition.next()
    assert heard is not None
    assert (heard.text, heard.final, heard.samples) == ("", True, 4000)


async def test_closing_ends_the_session_which_would_be_billed() -> None:
    async with assemblyai(CLIP.text, SIZE) as fake, started(made(fake)) as assembly:
        async with hearing(assembly) as recognition:
            fed(recognition, SOUND)
            await recognition.next()
        await fake.line.left.wait()
    assert json.loads(fake.line.heard[-1]) == {"type": "Terminate"}


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
    async with assemblyai(CLIP.text, SIZE, fault=fault) as fake:
        quick = made(fake, settle_seconds=0.05, first_seconds=0.2 if fault == "stall" else 10)
        async with started(quick) as assembly, hearing(assembly) as recognition:
            fed(recognition, SOUND)
            recognition.conclude()
            with pytest.raises(VoicemeshError) as caught:
                await told(recognition)
    assert caught.value.reason == reason


async def test_a_key_that_is_refused_is_told() -> None:
    async with (
        assemblyai(CLIP.text, SIZE, status=401) as fake,
        started(made(fake)) as assembly,
        hearing(assembly) as recognition,
    ):
        with pytest.raises(Misconfigured, match="401"):
            await told(recognition)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"type": "Error", "error_code": 1008, "error": "Unauthorized"}, Misconfigured),
        ({"error": "Not Authorized"}, Misconfigured),
        ({"type": "Error", "error_code": 4102, "error": "streams"}, Refused),
        ({"type": "Error", "error": "Too many concurrent sessions"}, Refused),
        ({"type": "Turn", "transcript": "no number"}, Unavailable),
        ({"type": "Turn", "turn_order": 1}, Unavailable),
    ],
)
def test_failures_are_told_apart(message: dict[str, Any], kind: type[VoicemeshError]) -> None:
    with pytest.raises(kind):
        AssemblyAiCodec(16000).take(json.dumps(message))


@given(
    st.lists(st.one_of(st.integers(1, 20_000), st.just(0)), max_size=12),
    st.sampled_from([8000, 16000]),
)
def test_every_message_has_a_length_that_is_taken_and_nothing_is_lost(
    sizes: list[int], rate: int
) -> None:
    """A size of 0 stands for a request of a final transcript."""
    codec, sent, given_ = AssemblyAiCodec(rate), b"", b""
    for number, size in enumerate(sizes):
        sound = bytes([number % 255 + 1]) * (2 * size)
        given_ += sound
        frames = codec.audio(sound) if size else codec.conclude()
        parts = [frame for frame in frames if isinstance(frame, bytes)]
        assert all(0.05 <= len(part) / 2 / rate <= 1 for part in parts)
        assert all(len(part) % 2 == 0 for part in parts)
        sent += b"".join(parts)
    sent += b"".join(frame for frame in codec.finish() if isinstance(frame, bytes))
    assert sent.replace(b"\0", b"") == given_
