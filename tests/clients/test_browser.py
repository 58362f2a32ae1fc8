"""The softphone in a real browser, through the edge of a real mesh."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.from_browser import BROWSER, browse, missing, said, words_in, write_clip
from tests.support.mesh import held, running_mesh

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"needs Debian's {missing()}"),
]


TOKEN = "hush"  # noqa: S105 - of this mesh only


@pytest.fixture(scope="module")
def page(runner: asyncio.Runner) -> Iterator[str]:
    """The page's address at the edge of a mesh, without the token that it wants."""
    for mesh in held(runner, running_mesh(environment={"VOICEMESH_CARRIER_TOKEN": TOKEN})):
        yield f"http://{mesh.edge_address}/softphone"


async def test_a_call_from_the_page(tmp_path: Path, page: str) -> None:
    clip, recording = tmp_path / "speech.wav", tmp_path / "played.f32"
    write_clip(clip, (4.0, "first of all"), (6.0, "goodbye"))
    shown = await browse(
        f"{page}?token={TOKEN}", tmp_path, clip, bot="echo", recording=str(recording)
    )
    assert shown["bots"] == ["echo", "frontdesk", "listener"]
    assert said(shown, "caller") == ["first of all", "goodbye"]
    assert said(shown, "bot")[:2] == ["Hello, this is the echo.", "You said: first of all."]
    # Word by word what the loudspeaker played: nothing is lost on the way there either.
    assert words_in(recording, shown["rate"]) == list(said(shown, "bot"))
    assert (shown["reason"], shown["problem"]) == ("bot_hung_up", "")
    assert shown["errors"] == []
    assert shown["accessible"]


async def test_digits_and_hanging_up(tmp_path: Path, page: str) -> None:
    clip = tmp_path / "speech.wav"
    write_clip(clip, (60.0, "never"))
    steps = [
        {"after": "the echo", "digit": "4"},
        {"after": "the echo", "digit": "#"},
        {"after": "You said: 4.", "hang_up": True},
    ]
    shown = await browse(f"{page}?token={TOKEN}", tmp_path, clip, bot="echo", then=steps)
    assert shown["reason"] == "caller_hung_up"
    assert shown["problem"] == ""


async def test_the_page_says_what_is_wrong(tmp_path: Path, page: str) -> None:
    clip = tmp_path / "speech.wav"
    write_clip(clip, (1.0, "never"))
    stranger = await browse(page, tmp_path / "a", clip)
    assert "token" in stranger["problem"]
    assert stranger["bots"] == []
    refused = await browse(f"{page}?token={TOKEN}", tmp_path / "b", clip, bot="echo", refuse=True)
    assert refused["reason"] == "MICROPHONE_REFUSED"
    assert "does not let this page use the microphone" in refused["problem"]


def test_the_lock_file_names_no_address_to_download_from() -> None:
    lock = json.loads((BROWSER / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    wanted = json.loads((BROWSER / "package.json").read_text())["dependencies"]
    assert wanted == {"puppeteer-core": "25.16.0"}
