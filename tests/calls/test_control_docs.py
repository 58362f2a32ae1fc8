"""The examples of docs/control.md, as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mesh import running_mesh
from voicemesh.access import read_token
from voicemesh.audio import AudioFormat, Encoding, tonetext, write_wav
from voicemesh.bots import check
from voicemesh.bots.numbers import check_numbers
from voicemesh.client import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = (Path(__file__).parents[2] / "docs" / "control.md").read_text("utf-8")
PHONE = AudioFormat(Encoding.MULAW, 8000)


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


async def run(*command: str, environment: Mapping[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, (command, out, err)
    return out.decode()


@pytest.mark.slow
async def test_the_commands_do_what_they_say(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs the Debian package curl")
    sound, folder = tmp_path / "sound.wav", tmp_path / "recordings"
    write_wav(sound, 8000, tonetext.encode("beep", 8000))
    async with (
        running_mesh(environment={"VOICEMESH_RECORDINGS": str(folder)}) as mesh,
        Call.place(mesh.edge_target, bot="echo", caller_format=PHONE) as call,
    ):
        while not call.transcripts:
            await call.change(0.05)
        known = mesh.certificates.calling(())
        environment = {
            "EDGE": f"localhost:{mesh.edge_address.rpartition(':')[2]}",
            "CA": known.roots,
            "CURL_CA_BUNDLE": known.roots,
            "TOKEN": read_token(known.token),
            "AUTH": "Authorization: " + known.headers()["authorization"],
            "CALL": call.started.call_id,
            "SOUND": str(sound),
        }
        (program,) = snippets("python")
        said = await run(sys.executable, "-c", program, environment=environment)
        assert said == "echo CALL_STATE_LIVE\n"
        for commands in snippets("sh"):
            out = await run("sh", "-ec", commands, environment=environment)
            assert call.started.call_id in out
        while call.ended is None:
            await call.change(0.05)
        assert call.ended.reason == "bot_hung_up"
        texts = [each.text for each in call.transcripts]
        assert texts[1:] == ["By gRPC.", "You are number two."]
        assert [action.argument for action in call.actions] == ["42#"]
        assert (folder / f"{call.started.call_id}.wav").exists()


def test_the_files_are_right(tmp_path: Path) -> None:
    _trunk, numbers, bot = snippets("yaml")
    file = tmp_path / "numbers.yaml"
    file.write_text(numbers)
    assert not isinstance(check_numbers(file, ("frontdesk",)), list)
    folder = tmp_path / "bots"
    folder.mkdir()
    (folder / "pin.yaml").write_text(bot)
    assert check(folder) == []
