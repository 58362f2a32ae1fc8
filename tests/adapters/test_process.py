from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from adapters.config import AdapterSettings
from adapters.service import build
from adapters.stt import weights
from tests.adapters.support import hear, refusal
from voicemesh.api.speech.v1 import recognition_pb2_grpc
from voicemesh.channel import open_channel
from voicemesh.errors import Misconfigured, MissingModel
from voicemesh.server import serving
from voicemesh.settings import load

ROOT = Path(__file__).parents[2]


def test_engines_are_named_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEMESH_SENSE", "tts")
    monkeypatch.setenv("VOICEMESH_ENGINES", " hibari, scripted ")
    monkeypatch.setenv("VOICEMESH_SCRIPT_TTS_FIRST_AUDIO", "0.15")
    settings = load(AdapterSettings)
    assert settings.engines == ("hibari", "scripted")
    assert settings.script_tts_first_audio == 0.15


@pytest.mark.parametrize(
    ("name", "value"),
    [("ENGINES", " , "), ("SENSE", "smell"), ("STT_WAITING", "0"), ("SCRIPT_STT_FINAL", "-1")],
)
def test_bad_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VOICEMESH_{name}", value)
    with pytest.raises(Misconfigured, match=f"VOICEMESH_{name}"):
        load(AdapterSettings)


@pytest.mark.parametrize("sense", ["stt", "llm", "tts"])
def test_an_unknown_engine_is_named(sense: str) -> None:
    settings = AdapterSettings.model_validate({"sense": sense, "engines": "nobody"})
    with pytest.raises(Misconfigured, match="nobody"):
        build(settings)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "TINY", "not_installed_anywhere")
    with pytest.raises(MissingModel, match="not-installed-anywhere"):
        weights.tiny_folder()


@pytest.mark.slow
def test_a_process_that_cannot_start_says_why_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "adapters"],
        cwd=ROOT,
        env={**os.environ, "VOICEMESH_SENSE": "stt", "VOICEMESH_ENGINES": "nobody"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "VOICEMESH_ENGINES" in result.stderr


async def test_before_the_engines_are_ready_streams_are_refused() -> None:
    settings = AdapterSettings()
    service = build(settings)
    async with serving(service, settings) as address, open_channel(address) as channel:
        await service.stop()
        call = recognition_pb2_grpc.RecognitionServiceStub(channel).Recognize()
        await call.write(hear())
        assert (await refusal(call.read()))[:2] == (grpc.StatusCode.UNAVAILABLE, "STARTING")
