"""A bot that may not leave a zone uses no endpoint outside it: refused at load, with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicemesh.bots import Bots, check
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

BOT = """\
residency: [eu]
engines:
  stt: [whisper]
  llm: [retrieval]
  tts:
    - hibari
    - name: elevenlabs
      deadline_seconds: 1
"""


@pytest.fixture
def bots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VOICEMESH_ELEVENLABS_REGION", "VOICEMESH_PROVIDERS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bots"
    folder.mkdir()
    (folder / "desk.yaml").write_text(BOT)
    return folder


def test_an_endpoint_of_another_zone_is_refused(
    bots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEMESH_ELEVENLABS_REGION", "us")
    with pytest.raises(Misconfigured, match="declared 'us'") as caught:
        Bots.load(bots)
    assert f"{bots / 'desk.yaml'}:7: engines.tts[1]: " in caught.value.message
    assert "may not leave eu" in caught.value.message


def test_one_that_declares_nothing_is_refused_with_what_to_set(bots: Path) -> None:
    [problem] = check(bots)
    assert (problem.line, problem.field) == (7, "engines.tts[1]")
    assert "VOICEMESH_ELEVENLABS_REGION" in problem.message


@pytest.mark.parametrize("where", ["environment", "file", "section of the sense"])
def test_one_of_its_zone_is_used(
    bots: Path, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = "elevenlabs" if where == "file" else "elevenlabs_tts"
    if where == "environment":
        monkeypatch.setenv("VOICEMESH_ELEVENLABS_REGION", "eu")
    else:
        (tmp_path / "providers.yaml").write_text(f"{section}: {{region: eu}}\n")
        monkeypatch.setenv("VOICEMESH_PROVIDERS", str(tmp_path / "providers.yaml"))
    assert len(Bots.load(bots)) == 1


def test_a_bot_without_a_fence_uses_any(bots: Path) -> None:
    (bots / "desk.yaml").write_text(BOT.replace("residency: [eu]\n", ""))
    assert not check(bots)
