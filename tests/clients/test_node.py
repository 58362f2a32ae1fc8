"""A caller in another language, from protos/ alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.from_node import NODE, install, missing, node_call, run
from tests.support.fake_gateway import Bot, FakeGateway, Reply, running, tone
from voicemesh.audio import write_wav

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing(), reason="node and npm are not installed"),
]


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_a_call_from_node(rate: int, tmp_path: Path) -> None:
    clip = tmp_path / "speech.wav"
    write_wav(clip, rate, tone(0.4, rate))
    bot = Bot(
        greeting=Reply("", "Hello.", 0.3),
        replies=[Reply("what time do you close", "At six.", 0.3), Reply("goodbye", "Bye.", 0.2)],
    )
    gateway = FakeGateway({"desk": bot})
    async with running(gateway) as address:
        told = await node_call(address, "desk", clip, clip)
    assert [words["text"] for words in told["transcripts"]] == [
        "Hello.",
        "what time do you close",
        "At six.",
        "goodbye",
        "Bye.",
    ]
    assert told["bot_audio_bytes"] == int(0.8 * rate) * 2
    assert [turn["total_ms"] for turn in told["turns"]] == [203, 203]
    assert all(100 < latency < 1500 for latency in told["latencies_ms"])
    assert told["ended"] == "END_REASON_CALLER_HUNG_UP"
    assert told["journal_entries"] == 3
    assert gateway.starts[0].caller_format.sample_rate_hertz == rate


async def test_node_learns_why_a_call_is_refused() -> None:
    await install()
    async with running(FakeGateway({})) as address:
        code, _, err = await run("node", "caller.mjs", address, "nobody")
    assert code == 1
    assert "no bot 'nobody'" in err


def test_the_lock_file_names_no_address_to_download_from() -> None:
    lock = json.loads((NODE / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert wanted == {"@grpc/grpc-js": "1.14.7", "@grpc/proto-loader": "0.8.1"}
