from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, strategies as st
from rich.console import Console

from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.waterfall import StageTime, Waterfall, bar, bars, picture

if TYPE_CHECKING:
    from pathlib import Path

TURN = Waterfall(
    1,
    "what time do you close",
    (
        StageTime("voice_activity", 0.06),
        StageTime("endpoint", 0.26),
        StageTime("transcript", 0.1, 0.09, "whisper"),
        StageTime("transport", 0.004),
    ),
    0.424,
)


def test_a_report_becomes_a_waterfall() -> None:
    stage = turn_pb2.StageTime(
        stage=turn_pb2.STAGE_FIRST_TOKEN,
        duration=Duration(nanos=50_000_000),
        engine_duration=Duration(nanos=40_000_000),
        engine="smollm2",
    )
    report = turn_pb2.TurnReport(turn=3, stages=[stage], total=Duration(seconds=1), end_offset=9)
    turn = Waterfall.from_proto(report)
    assert turn.stages == (StageTime("first_token", 0.05, 0.04, "smollm2"),)
    assert (turn.turn, turn.total, turn.end_offset) == (3, 1.0, 9)
    assert turn.mesh_seconds == pytest.approx(0.01)
    assert turn.unexplained == pytest.approx(0.95)


def test_a_stage_newer_than_this_code_keeps_its_number() -> None:
    stage = turn_pb2.StageTime(stage=99, duration=Duration(nanos=1))  # type: ignore[arg-type]
    turn = Waterfall.from_proto(turn_pb2.TurnReport(turn=1, stages=[stage]))
    assert turn.stages[0].name == "stage_99"
    assert bar(turn).plain.endswith(" ms")


def test_waiting_for_the_caller_is_not_the_mesh_s_time() -> None:
    assert TURN.mesh_seconds == pytest.approx(0.014)
    assert TURN.as_json()["mesh_ms"] == 14.0
    assert TURN.as_json()["stages"][2] == {
        "stage": "transcript",
        "ms": 100.0,
        "engine_ms": 90.0,
        "engine": "whisper",
    }


@given(
    st.lists(st.floats(min_value=0, max_value=5), min_size=1, max_size=8),
    st.integers(min_value=10, max_value=100),
)
def test_a_bar_is_as_long_as_its_turn(seconds: list[float], width: int) -> None:
    stages = tuple(StageTime(f"s{n}", value) for n, value in enumerate(seconds))
    turn = Waterfall(1, "", stages, sum(seconds))
    drawn = bar(turn, width=width, longest=10.0).plain.count("█")
    assert drawn == round(sum(seconds) / 10.0 * width)


def test_bars_name_turns_and_stages() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(bars([TURN]))
    assert "what time do you close" in out.getvalue()
    assert "424 ms" in out.getvalue()
    assert "voice activity" in out.getvalue()


def test_a_call_without_turns_has_no_bars() -> None:
    Console(file=io.StringIO()).print(bars([]))


@pytest.mark.slow
def test_a_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture([TURN, TURN], tmp_path / "waterfall.png")
    assert (tmp_path / "waterfall.png").read_bytes().startswith(b"\x89PNG")
