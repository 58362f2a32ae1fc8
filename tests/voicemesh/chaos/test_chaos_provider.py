"""A provider that is sick: what goes wrong when, and what calls make of it."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st
from typer.testing import CliRunner

from voicemesh.audio import tonetext, write_wav
from voicemesh.chaos.provider import RATE, Patient, ProviderService
from voicemesh.chaos.sickness import SICK_SECONDS, WELL_SECONDS, Ill, Sickness
from voicemesh.cli import build

SOUND = tonetext.encode("hello there", RATE)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_one_is_sick_at_a_time_and_each_in_its_turn(seed: int, rounds: int) -> None:
    sickness, each = Sickness(seed), SICK_SECONDS + WELL_SECONDS
    sick = [sickness.bout(number * each + 0.1) for number in range(3 * rounds)]
    assert Counter(bout.sense for bout in sick if bout) == dict.fromkeys(
        ("stt", "llm", "tts"), rounds
    )
    assert sickness.bout(-0.1) is None
    assert sickness.bout(SICK_SECONDS) is None


@given(st.integers(0, 10_000))
def test_everything_goes_wrong_before_anything_does_again(seed: int) -> None:
    sickness = Sickness(seed)
    sense = next(bout.sense for bout in [sickness.bout(0.0)] if bout)
    struck = [sickness.strike(sense, 1.0) for _ in range(100)]
    again = Sickness(seed)
    assert struck == [again.strike(sense, 1.0) for _ in range(100)]
    assert set([ill for ill in struck if ill][: len(Ill)]) == set(Ill)


class Always(Sickness):
    """Sick of one thing for ever."""

    def __init__(self, ill: Ill | None) -> None:
        super().__init__(0)
        self._ill = ill

    def strike(self, sense: str, now: float) -> Ill | None:
        return self._ill


def ask(ill: Ill | None, **request: Any) -> httpx.Response:  # noqa: ANN401 - as httpx has it
    patient = Patient(Always(ill), began=0.0)
    with ProviderService(patient) as provider, httpx.Client(trust_env=False) as client:
        try:
            return client.post(provider.url + request.pop("path"), timeout=1.0, **request)
        finally:
            assert [struck.name for struck in patient.struck] == ([f"{ill} of tts"] if ill else [])


def speech(ill: Ill | None) -> httpx.Response:
    return ask(ill, path="/audio/speech", json={"input": "hello there"})


def test_it_speaks_hears_and_thinks() -> None:
    assert speech(None).content == SOUND.astype("<i2").tobytes()
    wav = BytesIO()
    write_wav(wav, RATE, SOUND)
    heard = ask(None, path="/audio/transcriptions", files={"file": ("a.wav", wav.getvalue())})
    assert heard.json() == {"text": "hello there"}
    messages = [{"role": "user", "content": "call tool note"}]
    thought = ask(None, path="/chat/completions", json={"messages": messages})
    assert '"name": "note"' in thought.text


@pytest.mark.parametrize(
    ("ill", "status"), [(Ill.UNAUTHORISED, 401), (Ill.FULL, 429), (Ill.BROKEN, 500)]
)
def test_it_refuses(ill: Ill, status: int) -> None:
    answer = speech(ill)
    assert answer.status_code == status
    assert answer.headers["Retry-After"] == "1"


def test_it_succeeds_with_nothing() -> None:
    assert set(speech(Ill.EMPTY).content) == {0}
    assert speech(Ill.GARBAGE).content.startswith(b"\x07")


@pytest.mark.parametrize("ill", [Ill.STALL, Ill.LATE_STALL, Ill.DRIP, Ill.RESET, Ill.LATE_RESET])
def test_it_falls_silent_or_breaks_off(ill: Ill) -> None:
    silent = ill in (Ill.STALL, Ill.LATE_STALL, Ill.DRIP)
    with pytest.raises(httpx.ReadTimeout if silent and ill is not Ill.DRIP else httpx.HTTPError):
        speech(ill)


@pytest.mark.slow
def test_calls_go_on_while_their_providers_are_sick() -> None:
    options = "--calls 8 --seconds 28 --fault provider --seed 5 --json"
    result = CliRunner().invoke(build(), ["chaos", *options.split()])
    told = json.loads(result.stdout)
    wrong = {name: told[name] for name in ("calls_lost", "sentences_lost", "sentences_repeated")}
    assert not any(wrong.values()), told["findings"]
    assert sum(told["faults"].values()) >= 15
    assert told["turns"] >= 6 * 4
