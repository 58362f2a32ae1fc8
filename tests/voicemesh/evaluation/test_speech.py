from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.fake_gateway import Bot, FakeGateway, Reply, running, tone
from voicemesh.audio import write_wav
from voicemesh.client import FORMATS
from voicemesh.errors import InvalidInput, Misconfigured
from voicemesh.evaluation import Clip, ClipResult, evaluate, load_clips, score
from voicemesh.evaluation.speech import Listening

if TYPE_CHECKING:
    from pathlib import Path


def folder_of_clips(folder: Path) -> Path:
    (folder / "sentences.tsv").write_text("s01\tyes please\ns02\tno thank you\n")
    for voice in ("anna", "mary_ann"):
        for sentence in ("s01", "s02"):
            write_wav(folder / f"{voice}_{sentence}_16k.wav", 16000, tone(0.3, 16000))
    return folder


def test_clips_are_named_by_voice_and_sentence(tmp_path: Path) -> None:
    clips = load_clips(folder_of_clips(tmp_path))
    assert [(clip.voice, clip.sentence, clip.text) for clip in clips] == [
        ("anna", "s01", "yes please"),
        ("mary_ann", "s01", "yes please"),
        ("anna", "s02", "no thank you"),
        ("mary_ann", "s02", "no thank you"),
    ]


def test_a_folder_that_is_wrong_says_how(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"sentences\.tsv"):
        load_clips(tmp_path)
    (tmp_path / "sentences.tsv").write_text("s01 no tab\n")
    with pytest.raises(InvalidInput, match=r"sentences\.tsv:1"):
        load_clips(tmp_path)
    (tmp_path / "sentences.tsv").write_text("s01\tyes\n")
    with pytest.raises(Misconfigured, match="_16k"):
        load_clips(tmp_path)
    (tmp_path / "anna_s99_16k.wav").write_bytes(b"")
    with pytest.raises(InvalidInput, match="s99"):
        load_clips(tmp_path)


@pytest.mark.slow
async def test_clips_are_heard_in_real_time_and_scored(tmp_path: Path) -> None:
    pytest.importorskip("jiwer")
    clips = load_clips(folder_of_clips(tmp_path))
    listener = Bot(greeting=None, replies=[Reply("yes please", "", 0.0)])
    async with running(FakeGateway({"listener": listener})) as address:
        listening = Listening(address, FORMATS["pcmu"])
        results = [result async for result in evaluate(clips, listening, concurrency=4)]
    scored = score(results, str.lower)
    assert scored["clips"] == 4
    assert scored["failed"] == 0
    assert scored["total"]["words"] == 10
    # "no thank you" was understood as "yes please", twice: two words wrong, one missing.
    assert scored["total"]["wer_percent"] == 60
    assert set(scored["voices"]) == {"anna", "mary_ann"}
    assert scored["latency"]["count"] == 4
    assert 150 < scored["latency"]["p50_ms"] < 1000
    assert [result["right"] for result in scored["results"]].count(True) == 2


async def test_a_call_that_fails_is_a_result(tmp_path: Path) -> None:
    pytest.importorskip("jiwer")
    clips = load_clips(folder_of_clips(tmp_path))[:1]
    async with running(FakeGateway({})) as address:
        listening = Listening(address, FORMATS["pcmu"])
        (result,) = [result async for result in evaluate(clips, listening)]
    assert "listener" in result.error
    scored = score([result], str.lower)
    assert scored["failed"] == 1
    assert scored["total"]["deleted"] == 2
    assert scored["latency"]["p50_ms"] is None


async def test_leaving_early_leaves_no_call_behind(tmp_path: Path) -> None:
    clips = load_clips(folder_of_clips(tmp_path))
    async with running(FakeGateway({})) as address:
        before = asyncio.all_tasks()
        results = evaluate(clips, Listening(address, FORMATS["pcmu"]), concurrency=1)
        await anext(results)
        await results.aclose()
        left = [task for task in asyncio.all_tasks() - before if "hear" in repr(task.get_coro())]
        assert not left


def test_silence_costs_every_word(tmp_path: Path) -> None:
    pytest.importorskip("jiwer")
    clip = Clip(tmp_path / "a_s01_16k.wav", "a", "s01", "yes please")
    scored = score([ClipResult(clip, "", None)], str.lower)
    assert scored["total"]["wer_percent"] == 100
