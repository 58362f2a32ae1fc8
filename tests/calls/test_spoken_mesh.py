"""Spoken conversations through a whole mesh with the embedded models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo import story
from demo.booking import BookingService
from demo.judge import judge
from tests.clients.from_node import missing, node_call
from tests.support.mesh import running_mesh
from voicemesh.audio import AudioFormat, Encoding, write_wav
from voicemesh.client import Call, Say, Speaker, call_record, perform, voiced

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.local import LocalMesh

pytestmark = [pytest.mark.slow, pytest.mark.models]

PHONE = AudioFormat(Encoding.MULAW, 8000)
WIDE = AudioFormat(Encoding.LINEAR16, 16000)


async def test_the_demo_conversation() -> None:
    with BookingService() as booking:
        environment = {"VOICEMESH_BOOKING_URL": booking.url}
        async with running_mesh("embedded", environment=environment) as mesh:
            async with Speaker.at(mesh.mesh_target) as speaker:
                steps = await voiced(story.STEPS, speaker, PHONE)
            async with Call.place(
                mesh.edge_target, bot=story.BOT, caller_format=PHONE, caller=story.CALLER
            ) as call:
                await perform(call, steps)
            record = call_record(call)
        findings = judge(record, booking.appointments())
    missed = [finding for finding in findings if finding.required and not finding.held]
    assert [f"{finding.what}: {finding.seen}" for finding in missed] == []


@pytest.mark.skipif(missing(), reason="node and npm are not installed")
async def test_a_caller_written_in_node(tmp_path: Path) -> None:
    async with running_mesh("embedded") as mesh:
        question = await _clip(mesh, story.QUESTION, tmp_path / "question.wav")
        parking = await _clip(mesh, "Is there parking at the practice?", tmp_path / "parking.wav")
        told = await node_call(mesh.edge_address, story.BOT, question, parking)
    said = " ".join(words["text"] for words in told["transcripts"])
    assert "opening hours on Saturday" in said
    assert "nine until noon" in said
    assert "parking spaces behind the house" in said
    assert len(told["turns"]) == 2
    assert told["bot_audio_bytes"] > 5 * 2 * WIDE.rate
    assert told["ended"] == "END_REASON_CALLER_HUNG_UP"


async def _clip(mesh: LocalMesh, text: str, path: Path) -> Path:
    async with Speaker.at(mesh.mesh_target) as speaker:
        spoken = (await voiced([Say(text)], speaker, WIDE))[0]
    assert isinstance(spoken, Say)
    assert spoken.samples is not None
    write_wav(path, WIDE.rate, spoken.samples)
    return path
