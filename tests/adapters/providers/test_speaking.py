"""ElevenLabs, Cartesia and OpenAI-compatible speech: our engines and the vendors' own SDKs."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from cartesia import AsyncCartesia
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from elevenlabs.client import ElevenLabs as ElevenLabsClient
from openai import AsyncOpenAI

from adapters.synthesis import SynthesisRequest
from adapters.tts import cartesia as to_cartesia, elevenlabs as to_elevenlabs, openai as to_openai
from tests.adapters.fakes.cartesia import Cartesia, cartesia
from tests.adapters.fakes.elevenlabs import KEY, ElevenLabs, elevenlabs
from tests.adapters.fakes.http import HANG, Answers, answering
from tests.adapters.providers.support import as_bytes, speech, started
from voicemesh.audio import Resampler
from voicemesh.errors import (
    InvalidInput,
    Misconfigured,
    Refused,
    Unavailable,
    VoicemeshError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    from voicemesh.audio import Samples

SOUND = speech()
TEXT = "Please send the invoice to my new address."


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)


def settings(url: str, **more: object) -> dict[str, object]:
    return {"url": url, "secret": "env:THE_KEY", "voice": "ava", **more}


def eleven(fake: ElevenLabs, **more: object) -> Any:  # noqa: ANN401
    chosen = to_elevenlabs.ElevenLabsSettings.model_validate(settings(fake.line.url, **more))
    return to_elevenlabs.engine(chosen)


def carte(fake: Cartesia, **more: object) -> Any:  # noqa: ANN401
    chosen = to_cartesia.CartesiaSettings.model_validate(settings(fake.line.url, **more))
    return to_cartesia.engine(chosen)


def compatible(fake: Answers, **more: object) -> Any:  # noqa: ANN401
    chosen = to_openai.OpenAiSpeechSettings.model_validate(settings(fake.url, **more))
    return to_openai.engine(chosen)


def speaker(**parts: Any) -> Answers:  # noqa: ANN401
    return Answers(
        **{"header": "Authorization", "key": f"Bearer {KEY}", "kind": "audio/pcm"} | parts
    )


@asynccontextmanager
async def either(which: str, **line: Any) -> AsyncIterator[tuple[Any, Any]]:  # noqa: ANN401
    """Serve one of the two that speak by WebSocket: (fake, what makes an engine of it)."""
    if which == "elevenlabs":
        async with elevenlabs(as_bytes(SOUND), **line) as first:
            yield first, eleven
    else:
        async with cartesia(as_bytes(SOUND), **line) as second:
            yield second, carte


async def said(engine: Any, *texts: str, rate: int = 16000, voice: str = "") -> Samples:  # noqa: ANN401
    """Speak these in one reply."""
    reply = engine.synthesize(SynthesisRequest(rate=rate, voice=voice))
    pieces = [piece for text in texts async for piece in reply.speak(text)]
    reply.close()
    assert all(piece.size for piece in pieces)
    return np.concatenate(pieces)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's side of TLS for 127.0.0.1, and the file that clients are to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "cert.pem", folder / "key.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return context, trusted


@pytest.mark.filterwarnings("ignore:ConnectionClosed.code:DeprecationWarning")  # the SDK's own
async def test_elevenlabs_own_sdk_talks_to_the_fake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    def speak(url: str) -> bytes:
        client = ElevenLabsClient(api_key=KEY, base_url=url.replace("wss", "https"))
        words: Iterator[str] = iter(["Please send the invoice ", "to my new address."])
        return b"".join(
            client.text_to_speech.convert_realtime(
                "ava", text=words, model_id="eleven_flash_v2_5", output_format="pcm_16000"
            )
        )

    async with elevenlabs(as_bytes(SOUND), context) as fake:
        sound = await asyncio.to_thread(speak, fake.line.url)
    assert sound == as_bytes(SOUND)
    assert fake.texts == [TEXT]


async def test_cartesias_own_sdk_talks_to_the_fake() -> None:
    async with cartesia(as_bytes(SOUND)) as fake:
        client = AsyncCartesia(api_key=KEY, websocket_base_url=fake.line.url)
        line = await client.tts.websocket()
        await line.connect()
        context = line.context()
        await context.send(
            model_id="sonic-3",
            transcript=TEXT,
            voice="ava",
            output_format={"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        )
        await context.no_more_inputs()
        sound = b""
        async for answer in context.receive():
            if answer.type == "chunk":
                sound += answer.audio or b""
            if answer.type == "done":
                break
        await line.close()
        await client.close()
    assert sound == as_bytes(SOUND)
    assert fake.asked[0]["transcript"] == TEXT


async def test_openais_own_sdk_talks_to_the_fake() -> None:
    async with (
        answering(speaker(parts=[as_bytes(SOUND)])) as fake,
        AsyncOpenAI(api_key=KEY, base_url=fake.url) as client,
        client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format="pcm"
        ) as response,
    ):
        assert await response.read() == as_bytes(SOUND)
    assert fake.paths == ["/audio/speech"]
    assert fake.asked[0]["input"] == TEXT


@pytest.mark.parametrize("which", ["elevenlabs", "cartesia"])
async def test_sentences_are_spoken_whole(which: str) -> None:
    async with either(which) as (fake, made), started(made(fake)) as engine:
        sound = await said(engine, TEXT, "And again.")
    assert np.array_equal(sound, np.concatenate((SOUND, SOUND)))


async def test_elevenlabs_is_asked_for_the_calls_rate_and_voice() -> None:
    async with elevenlabs(as_bytes(SOUND)) as fake, started(eleven(fake)) as engine:
        await said(engine, TEXT, rate=8000, voice="a/b")
    assert fake.line.paths[0] == "/v1/text-to-speech/a%2Fb/stream-input"
    assert fake.queries[0]["output_format"] == ["pcm_8000"]
    assert fake.queries[0]["language_code"] == ["en"]
    assert fake.texts == [TEXT]


async def test_cartesia_speaks_a_reply_on_one_connection() -> None:
    async with cartesia(as_bytes(SOUND)) as fake, started(carte(fake)) as engine:
        await said(engine, TEXT, "And again.", "Once more.", rate=8000)
    assert len(fake.line.paths) <= 2  # and one ahead
    assert len({asked["context_id"] for asked in fake.asked}) == 3
    assert fake.asked[0]["output_format"]["sample_rate"] == 8000
    assert fake.asked[0]["voice"] == {"mode": "id", "id": "ava"}


async def test_openais_sound_is_brought_to_the_calls_rate() -> None:
    pieces = [as_bytes(SOUND)[at : at + 4001] for at in range(0, SOUND.size * 2, 4001)]
    async with answering(speaker(parts=pieces)) as fake, started(compatible(fake)) as engine:
        sound = await said(engine, TEXT, rate=8000)
    resampler = Resampler(24000, 8000)
    wanted = np.concatenate((resampler.feed(SOUND), resampler.flush()))
    assert np.array_equal(sound, wanted)
    assert fake.asked[0]["response_format"] == "pcm"


@pytest.mark.parametrize("which", ["elevenlabs", "cartesia"])
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
async def test_what_breaks_in_the_middle_is_the_providers_fault(
    which: str, fault: str, reason: str
) -> None:
    late = {"between_seconds": 0.1} if fault == "stall" else {}
    async with either(which, fault=fault) as (fake, made), started(made(fake, **late)) as engine:
        with pytest.raises(VoicemeshError) as caught:
            await said(engine, TEXT)
    assert caught.value.reason == reason


@pytest.mark.parametrize("which", ["elevenlabs", "cartesia"])
@pytest.mark.parametrize(
    ("status", "kind"), [(401, Misconfigured), (429, Refused), (500, Unavailable)]
)
async def test_a_refused_handshake_is_our_error(
    which: str, status: int, kind: type[VoicemeshError]
) -> None:
    async with (
        either(which, status=status, complaint=f"not with {KEY}") as (fake, made),
        started(made(fake)) as engine,
    ):
        with pytest.raises(kind) as caught:
            await said(engine, TEXT)
    assert KEY not in caught.value.message


@pytest.mark.parametrize("which", ["elevenlabs", "cartesia"])
async def test_cancelling_leaves_the_provider_at_once(which: str) -> None:
    async with either(which, fault="stall") as (fake, made), started(made(fake, spares=0)) as it:
        reply = it.synthesize(SynthesisRequest(rate=16000))
        pieces = cast("AsyncGenerator[Samples]", reply.speak(TEXT))
        assert (await anext(pieces)).size
        await pieces.aclose()
        await fake.line.left.wait()


@pytest.mark.parametrize("which", ["elevenlabs", "cartesia"])
async def test_a_voice_must_be_named_somewhere(which: str) -> None:
    async with either(which) as (fake, made), started(made(fake, voice="")) as engine:
        with pytest.raises(InvalidInput, match="voice"):
            await said(engine, TEXT)


@pytest.mark.parametrize(
    ("answers", "kind", "reason"),
    [
        ({"status": 429, "answer_headers": {"Retry-After": "7"}}, Refused, "PROVIDER_FULL"),
        ({"status": 500}, Unavailable, "PROVIDER_FAILED"),
        ({"key": "other"}, Misconfigured, "PROVIDER_DENIES"),
        ({"parts": [b'{"sorry": 1}'], "kind": "application/json"}, Unavailable, "BAD_PROVIDER"),
        ({"parts": [bytes(999), HANG]}, VoicemeshError, "PROVIDER_SILENT"),
        ({"parts": []}, VoicemeshError, "NO_AUDIO"),
        ({"parts": [bytes(999)], "torn": True}, Unavailable, "PROVIDER_GONE"),
    ],
)
async def test_what_breaks_by_http_is_the_providers_fault(
    answers: dict[str, Any], kind: type[VoicemeshError], reason: str
) -> None:
    async with (
        answering(speaker(**answers)) as fake,
        started(compatible(fake, between_seconds=0.1)) as engine,
    ):
        with pytest.raises(kind) as caught:
            await said(engine, TEXT)
    assert caught.value.reason == reason


async def test_cancelling_by_http_closes_the_connection() -> None:
    async with (
        answering(speaker(parts=[bytes(9999), HANG])) as fake,
        started(compatible(fake)) as engine,
    ):
        pieces = engine.synthesize(SynthesisRequest(rate=16000)).speak(TEXT)
        assert (await anext(pieces)).size
        await pieces.aclose()
        await fake.left.wait()
