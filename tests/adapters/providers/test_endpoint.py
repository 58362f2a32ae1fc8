"""Settings of providers, secrets by reference, and the zone that a process may not leave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from adapters import llm, stt, tts
from adapters.config import AdapterSettings
from adapters.providers.endpoint import Endpoint, endpoint
from adapters.service import build
from adapters.stt.deepgram import DeepgramSettings
from tests.adapters.fakes.deepgram import KEY, deepgram
from tests.adapters.providers.support import CLIP
from tests.adapters.support import CONCLUDE, drained, hear, hosting, refusal, said, speech as spoken
from tests.adapters.test_recognition import finals, recognize
from voicemesh.audio import read_wav
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from adapters.host import Engine

REMOTE = {
    "stt": (stt.ENGINES, ["deepgram", "assemblyai", "soniox", "speechmatics", "openai"]),
    "tts": (tts.ENGINES, ["elevenlabs", "cartesia", "openai"]),
    "llm": (llm.ENGINES, ["openai_responses", "anthropic", "gemini"]),
}
PAIRS = [(sense, name) for sense, (_, names) in REMOTE.items() for name in names]

BY_GRPC = [(sense, name) for sense in ("stt", "tts") for name in ("google", "riva")]


def adapter(**settings: object) -> AdapterSettings:
    return AdapterSettings.model_validate(settings)


def file(folder: Path, text: str) -> Path:
    path = folder / "providers.yaml"
    path.write_text(text)
    return path


def test_a_file_holds_a_section_for_each_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(
        tmp_path, "deepgram: {url: 'ws://a', region: eu, model: nova-2}\nother: {any: thing}\n"
    )
    monkeypatch.setenv("VOICEMESH_DEEPGRAM_URL", "ws://b")
    chosen = endpoint(DeepgramSettings, adapter(providers=path))
    assert (chosen.url, chosen.region, chosen.model) == ("ws://b", "eu", "nova-2")
    assert endpoint(DeepgramSettings, adapter()).model == "nova-3"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("deepgram: [1]", "deepgram must be a section"),
        ("- 1", "deepgram must be a section"),
        ("deepgram: {a: [", "providers.yaml"),
        ("deepgram: {modle: x}", "deepgram.modle"),
        ("deepgram: {connect_seconds: 0}", "CONNECT_SECONDS"),
        ("deepgram: {secret: abc123}", "not the secret itself"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_its_field(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured, match=complaint) as caught:
        endpoint(DeepgramSettings, adapter(providers=file(tmp_path, text)))
    assert "abc123" not in caught.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="VOICEMESH_PROVIDERS"):
        endpoint(DeepgramSettings, adapter(providers=tmp_path / "none.yaml"))


@pytest.mark.parametrize(("sense", "name"), [*PAIRS, ("llm", "openai"), *BY_GRPC])
@pytest.mark.parametrize("region", ["", "us"])
def test_a_process_fenced_to_a_zone_starts_with_no_endpoint_outside_it(
    sense: str, name: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = name in ("google", "riva") or (name == "openai" and sense != "llm")
    section = f"{name}_{sense}".upper() if both else name.upper()
    monkeypatch.setenv(f"VOICEMESH_{section}_REGION", region)
    settings = adapter(sense=sense, engines=name, residency="eu")
    with pytest.raises(Misconfigured, match=rf"{section}_REGION.*'eu'") as caught:
        build(settings)
    assert caught.value.reason == "OUTSIDE_ZONE"
    monkeypatch.setenv(f"VOICEMESH_{section}_REGION", "eu")
    build(settings)


@pytest.mark.parametrize(("sense", "name"), PAIRS)
async def test_a_secret_that_is_missing_is_told_at_the_start(
    sense: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DEEPGRAM", "ASSEMBLYAI", "OPENAI", "ELEVENLABS", "CARTESIA", "ANTHROPIC"):
        monkeypatch.delenv(f"{variable}_API_KEY", raising=False)
    for variable in ("GEMINI", "SONIOX", "SPEECHMATICS"):
        monkeypatch.delenv(f"{variable}_API_KEY", raising=False)
    engine = cast("Engine", REMOTE[sense][0][name](adapter()))
    with pytest.raises(Misconfigured, match="no secret at env:") as caught:
        await engine.start()
    assert caught.value.reason == "NO_SECRET"


def test_secrets_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" sesame\n")
    assert Endpoint(url="x", secret=f"file:{tmp_path / 'key'}").key() == "sesame"
    assert Endpoint(url="x").key() == ""
    with pytest.raises(Misconfigured, match="cannot be read"):
        Endpoint(url="x", secret=f"file:{tmp_path / 'none'}").key()


async def test_an_utterance_through_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate, sound = read_wav(CLIP.path)
    monkeypatch.setenv("THE_KEY", KEY)
    async with deepgram(CLIP.text, sound.size * 2) as fake:
        path = file(tmp_path, f"deepgram: {{url: '{fake.line.url}', secret: 'env:THE_KEY'}}")
        engine = stt.ENGINES["deepgram"](adapter(providers=path))
        async with hosting("stt", {"deepgram": cast("Engine", engine)}) as hosted:
            call = recognize(hosted.channel)
            await said(call, hear("deepgram", rate), *spoken(sound, rate=rate, start=700), CONCLUDE)
            assert finals(await drained(call)) == [(CLIP.text, 700 + sound.size)]
            fake.line.key = "Token other"
            call = recognize(hosted.channel)
            # Another language, so that no connection opened ahead fits.
            await said(call, hear("deepgram", rate, language="de"), half_close=False)
            status, reason, _ = await refusal(drained(call))
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_DENIES")
