"""Calls and loop lag are found in whatever Prometheus text a process serves."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from rich.console import Console

from mesh.local.engines import together
from mesh.local.metrics import Load, parse
from mesh.tables import engines_table


@given(st.integers(0, 10_000), st.floats(0, 10))
def test_gauges_are_read(calls: int, lag: float) -> None:
    registry = CollectorRegistry()
    Gauge("voicemesh_calls", "Calls", registry=registry).set(calls)
    Gauge("voicemesh_loop_lag_p95_seconds", "Lag", registry=registry).set(lag)
    found = parse(generate_latest(registry).decode())
    assert found.calls == calls
    assert found.lag_p95_ms == pytest.approx(lag * 1000, abs=0.001)


def test_labelled_calls_are_added_and_a_histogram_of_lag_will_do() -> None:
    registry = CollectorRegistry()
    calls = Gauge("voicemesh_calls", "Calls", ["leg"], registry=registry)
    calls.labels("grpc").set(2)
    calls.labels("sip").set(3)
    lag = Histogram("voicemesh_loop_lag_seconds", "Lag", registry=registry, buckets=(0.01, 0.1, 1))
    for milliseconds in (1, 1, 1, 50):
        lag.observe(milliseconds / 1000)
    assert parse(generate_latest(registry).decode()) == Load(5, 100.0)


def test_what_is_not_there_is_not_invented() -> None:
    assert parse("") == Load()
    assert parse("# TYPE voicemesh_loop_lag_seconds histogram\n") == Load()


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        parse('voicemesh_calls{leg="nonsense} x\n')


def a_process(*, denies: int, broken: int) -> Load:
    registry = CollectorRegistry()
    labels = ["sense", "provider"]
    outcomes = Counter("voicemesh_provider_outcomes", "O", [*labels, "outcome"], registry=registry)
    outcomes.labels("stt", "deepgram", "OK").inc(3)
    outcomes.labels("stt", "deepgram", "PROVIDER_DENIES").inc(denies)
    Gauge("voicemesh_provider_denies", "D", labels, registry=registry).labels(
        "stt", "deepgram"
    ).set(denies)
    labels = ["sense", "engine"]
    attempts = Counter("voicemesh_engine_attempts", "A", [*labels, "outcome"], registry=registry)
    for outcome in ("worked", "lost", "missed", "hedged"):
        attempts.labels("llm", "openai", outcome).inc()
    Gauge("voicemesh_engine_broken", "B", labels, registry=registry).labels("llm", "openai").set(
        broken
    )
    return parse(generate_latest(registry).decode())


def test_engines_and_wrong_credentials_are_shown() -> None:
    processes = [a_process(denies=1, broken=0), a_process(denies=0, broken=1)]
    found = together(one for load in processes for one in load.engines)
    llm, stt = found
    assert (llm.name, llm.worked, llm.failed, llm.out) == ("openai", 2, 2, 1)
    assert (stt.name, stt.worked, stt.failed, stt.denied) == ("deepgram", 6, 1, 1)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(engines_table(found))
    shown = capture.get()
    assert "refuses our credentials" in shown
    assert "left out by 1" in shown
