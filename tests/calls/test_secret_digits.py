"""Secret keys of a whole mesh: looked for in everything that it writes and sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.gateway.webhook_receiver import SECRET, Receiver, receiving
from tests.support.mesh import running_mesh
from voicemesh.audio import AudioFormat, Encoding
from voicemesh.client import Call

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
PHONE = AudioFormat(Encoding.MULAW, 8000)
PIN = "918273645"
BOT = "greeting: Please enter your PIN.\nkeypad: {secret: true}\n"


async def test_secret_keys_are_nowhere_in_clear(tmp_path: Path) -> None:
    bots, records = tmp_path / "bots", tmp_path / "records"
    bots.mkdir()
    (bots / "pin.yaml").write_text(BOT)
    receiver = Receiver()
    async with receiving(receiver):
        environment = {
            "VOICEMESH_BOTS": str(bots),
            "VOICEMESH_RECORDS": str(records),
            "VOICEMESH_LOG_LEVEL": "debug",
            "VOICEMESH_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/hook",
            "VOICEMESH_WEBHOOK_SECRET": SECRET,
            "VOICEMESH_WEBHOOK_QUEUE": str(tmp_path / "queue"),
        }
        async with running_mesh(environment=environment) as mesh:
            async with Call.place(mesh.edge_target, bot="pin", caller_format=PHONE) as call:
                while not call.transcripts:
                    await call.change(0.05)
                call.dtmf(f"{PIN}#")
                while len(call.transcripts) < 2:
                    await call.change(0.05)
            await receiver.until(lambda one: "call.ended" in one.kinds)
            logs = [path.read_text() for path in (mesh.home.folder / "logs").glob("*.log")]
    assert call.ended is not None
    pressed = [one["digits_pressed"] for one in call.ended.journal if "digits_pressed" in one]
    assert [one["digits"] for one in pressed] == ["****"]
    assert [one["data"]["digits"] for _, one in receiver.taken if one["type"] == "call.dtmf"] == [
        "****"
    ]
    said = [one.text for one in call.transcripts]
    files = [path.read_bytes().decode(errors="replace") for path in records.glob("*")]
    files += [path.read_bytes().decode(errors="replace") for path in (tmp_path / "queue").glob("*")]
    told = [json.dumps(one) for _, one in receiver.taken]
    assert len(logs) > 5
    assert files
    assert told
    for text in (*logs, *files, *told, *said, json.dumps(call.ended.journal)):
        assert PIN not in text
