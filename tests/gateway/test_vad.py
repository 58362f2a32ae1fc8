from __future__ import annotations

import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings, strategies as st

from gateway.vad import (
    WINDOW_MS,
    GateSettings,
    SpeechEnded,
    SpeechEvent,
    SpeechGate,
    SpeechStarted,
    VadBatch,
    Window,
    model_path,
)
from voicemesh.audio import Resampler, Samples, decode_mulaw, encode_mulaw, read_wav
from voicemesh.errors import InvalidInput, MissingModel, NotFound, OutOfOrder, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

models = pytest.mark.models
each_rate = pytest.mark.parametrize("rate", [8000, 16000])

CLIPS = Path(__file__).parents[1] / "data" / "audio"
WINDOW = {8000: 256, 16000: 512}


@pytest.fixture(scope="module")
def shared() -> VadBatch:
    """One batch for all tests, which close what they open: the model takes long to load."""
    return VadBatch()


def clip(name: str, rate: int) -> Samples:
    """Return a clip at 16 kHz, or as a telephone carries it: 8 kHz through mu-law."""
    wide, samples = read_wav(CLIPS / f"{name}_s01_16k.wav")
    assert wide == 16000
    if rate == 16000:
        return samples
    resampler = Resampler(16000, 8000)
    return decode_mulaw(encode_mulaw(np.concatenate([resampler.feed(samples), resampler.flush()])))


@cache
def plain_session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model_path(), providers=["CPUExecutionProvider"])


def alone(rate: int, samples: Samples) -> list[float]:
    """Run one stream through the model the plainest way."""
    session = plain_session()
    window, context = WINDOW[rate], rate // 250
    sound = np.concatenate([np.zeros(context), samples / 32768]).astype(np.float32)
    state = np.zeros((2, 1, 128), np.float32)
    found = []
    for begin in range(0, samples.size - window + 1, window):
        row = sound[None, begin : begin + context + window]
        inputs = {"input": row, "state": state, "sr": np.array(rate, np.int64)}
        probability, state = session.run(None, inputs)
        found.append(float(probability[0, 0]))
    return found


def in_ticks(batch: VadBatch, slot: int, samples: Samples, size: int) -> list[Window]:
    windows = []
    for begin in range(0, samples.size, size):
        batch.feed(slot, samples[begin : begin + size])
        windows += batch.run()
    return windows


@models
@each_rate
def test_a_batch_gives_each_call_what_it_would_get_alone(rate: int, shared: VadBatch) -> None:
    streams = [clip("heart", rate)[k * 1100 : k * 1100 + 14000] for k in range(5)]
    streams += [clip("joe", rate)[k * 900 : k * 900 + 9000 + 700 * k] for k in range(5)]
    before = len(shared)
    slots = [shared.open(rate) for _ in streams]
    other = shared.open(24000 - rate)  # a call of the other rate rides along
    found: dict[int, list[Window]] = {slot: [] for slot in slots}
    # Every call is cut differently, so that batches differ in size and calls in windows a run.
    steps = {slot: 130 + 211 * index % 1900 for index, slot in enumerate(slots)}
    at = dict.fromkeys(slots, 0)
    while any(at[slot] < stream.size for slot, stream in zip(slots, streams, strict=True)):
        for slot, stream in zip(slots, streams, strict=True):
            shared.feed(slot, stream[at[slot] : at[slot] + steps[slot]])
            at[slot] += steps[slot]
        shared.feed(other, streams[0][:100])
        for window in shared.run():
            if window.slot != other:
                found[window.slot].append(window)
    for slot, stream in zip(slots, streams, strict=True):
        expected = alone(rate, stream)
        assert [window.probability for window in found[slot]] == pytest.approx(expected, abs=1e-4)
        ends = [window.end for window in found[slot]]
        assert ends == [WINDOW[rate] * (index + 1) for index in range(len(expected))]
    for slot in [*slots, other]:
        shared.close(slot)
    assert len(shared) == before


@models
def test_windows_of_one_call_come_in_order_within_a_run(shared: VadBatch) -> None:
    first, second = shared.open(16000), shared.open(16000)
    shared.feed(first, np.zeros(16000, np.int16))
    shared.feed(second, np.zeros(1100, np.int16))
    windows = shared.run()
    assert [window.end for window in windows if window.slot == first] == [*range(512, 16000, 512)]
    assert [window.end for window in windows if window.slot == second] == [512, 1024]
    assert shared.run() == []
    shared.close(first)
    shared.close(second)


@models
@each_rate
def test_a_slot_begins_afresh(rate: int) -> None:
    batch = VadBatch()
    speech = clip("joe", rate)[rate // 2 : rate // 2 + 4 * WINDOW[rate]]
    first = batch.open(rate)
    once = in_ticks(batch, first, speech, 160)
    batch.feed(first, speech[:200])
    batch.close(first)
    second = batch.open(rate)
    again = in_ticks(batch, second, speech, 160)
    assert [window[1:] for window in again] == [window[1:] for window in once]


@models
def test_room_grows_as_calls_come_and_is_used_again(shared: VadBatch) -> None:
    speech = clip("heart", 8000)[5000:6000]
    slot = shared.open(8000)
    shared.feed(slot, speech[:700])
    windows = shared.run()
    crowd = [shared.open(8000) for _ in range(40)]
    shared.feed(slot, speech[700:])
    windows += shared.run()
    assert [window.probability for window in windows] == pytest.approx(
        alone(8000, speech), abs=1e-4
    )
    for _ in range(100):
        shared.close(crowd.pop())
        crowd.append(shared.open(8000))
    assert len(set(crowd)) == len(crowd)
    for open_slot in [slot, *crowd]:
        shared.close(open_slot)


@models
@each_rate
def test_a_short_gap_is_silence_in_its_window(rate: int, shared: VadBatch) -> None:
    window = WINDOW[rate]
    speech = clip("joe", rate)[rate // 2 :]
    slot = shared.open(rate)
    shared.feed(slot, speech[:100])
    assert shared.skip(slot, window - 150) == []
    shared.feed(slot, speech[100:150])
    filled = np.concatenate([speech[:100], np.zeros(window - 150, np.int16), speech[100:150]])
    [found] = shared.run()
    assert (found.slot, found.end) == (slot, window)
    assert found.probability == pytest.approx(alone(rate, filled)[0], abs=1e-4)
    shared.close(slot)


@models
@each_rate
def test_a_long_gap_ends_its_window_and_is_not_looked_at(rate: int, shared: VadBatch) -> None:
    window = WINDOW[rate]
    speech = clip("joe", rate)[rate // 2 :]
    before, after = speech[: 2 * window + 50], speech[3000 : 3000 + 2 * window]
    slot = shared.open(rate)
    shared.feed(slot, before)
    ended = shared.skip(slot, 5 * rate)
    padded = np.concatenate([before, np.zeros(window - 50, np.int16)])
    assert [(found.slot, found.end) for found in ended] == [
        (slot, window), (slot, 2 * window), (slot, 3 * window)
    ]  # fmt: skip
    assert [found.probability for found in ended] == pytest.approx(alone(rate, padded), abs=1e-4)
    assert shared.run() == []
    shared.feed(slot, after)
    found = shared.run()
    begin = before.size + 5 * rate
    assert [window_.end for window_ in found] == [begin + window, begin + 2 * window]
    assert [window_.probability for window_ in found] == pytest.approx(alone(rate, after), abs=1e-4)
    shared.close(slot)


@models
def test_a_gap_between_windows_needs_no_run(shared: VadBatch) -> None:
    slot = shared.open(8000)
    assert shared.skip(slot, 8000) == []
    shared.feed(slot, np.zeros(256, np.int16))
    assert [window.end for window in shared.run()] == [8256]
    shared.close(slot)


@models
@each_rate
def test_what_waits_is_bounded(rate: int, shared: VadBatch) -> None:
    slot = shared.open(rate)
    shared.feed(slot, np.zeros(rate, np.int16))
    with pytest.raises(Refused) as caught:
        shared.feed(slot, np.zeros(1, np.int16))
    assert (caught.value.reason, caught.value.details) == ("VAD_BEHIND", {"limit": str(rate)})
    assert len(shared.skip(slot, rate)) == 32, "a full slot can still skip"
    shared.close(slot)


@models
def test_only_open_slots_are_served(shared: VadBatch) -> None:
    slot = shared.open(8000)
    shared.close(slot)
    with pytest.raises(NotFound):
        shared.feed(slot, np.zeros(1, np.int16))
    with pytest.raises(NotFound):
        shared.skip(slot, 1)
    with pytest.raises(NotFound):
        shared.close(slot)
    with pytest.raises(InvalidInput) as caught:
        shared.open(24000)
    assert caught.value.details == {"field": "rate", "allowed": "8000, 16000"}


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.delitem(sys.modules, "silero_vad", raising=False)
    with pytest.raises(MissingModel, match="silero-vad"):
        model_path()


@models
def test_the_package_is_found_but_not_imported() -> None:
    model_path()
    assert "silero_vad" not in sys.modules


def speech_bounds(samples: Samples, rate: int) -> tuple[int, int]:
    """Return where the energy says that speech begins and ends, by 10 ms frames."""
    frame = rate // 100
    frames = samples[: samples.size // frame * frame].reshape(-1, frame).astype(np.float64)
    energy = 10 * np.log10((frames**2).mean(axis=1) + 1)
    loud = np.flatnonzero(energy > energy.max() - 35)
    return int(loud[0]) * frame, (int(loud[-1]) + 1) * frame


@models
@each_rate
@pytest.mark.parametrize("name", ["heart", "joe"])
@pytest.mark.parametrize("noisy", [False, True])
def test_real_speech(name: str, rate: int, noisy: bool, shared: VadBatch) -> None:
    samples = clip(name, rate)
    began, ended = speech_bounds(samples, rate)
    if noisy:
        hiss = np.random.default_rng(1).normal(0, 100, samples.size)
        samples = np.clip(samples + hiss, -32768, 32767).astype(np.int16)
    slot, gate = shared.open(rate), SpeechGate(rate)
    events: list[SpeechEvent] = []
    for _, end, probability in in_ticks(shared, slot, samples, rate // 50):
        events += gate.handle(end, probability)
    shared.close(slot)
    first, *_, last = events
    assert isinstance(first, SpeechStarted)
    assert isinstance(last, SpeechEnded)
    assert abs(first.offset - began) <= 0.100 * rate
    assert abs(last.offset - ended) <= 0.250 * rate
    assert len(events) <= 4, "two phrases, at most"
    assert not gate.speaking


# --- the gate ---------------------------------------------------------------------------------

ON, MIDDLE, OFF = 0.9, 0.4, 0.1
probabilities = st.lists(
    st.one_of(st.sampled_from([ON, MIDDLE, OFF, 0.5, 0.35]), st.floats(0, 1)), max_size=80
)


def gate_events(
    sequence: Sequence[float], rate: int = 8000, settings: GateSettings | None = None
) -> list[SpeechEvent]:
    gate = SpeechGate(rate, settings)
    window = WINDOW[rate]
    return [
        event
        for index, probability in enumerate(sequence)
        for event in gate.handle((index + 1) * window, probability)
    ]


def in_windows(events: Sequence[SpeechEvent], rate: int = 8000) -> list[tuple[str, int]]:
    names = {SpeechStarted: "start", SpeechEnded: "end"}
    assert all(event.offset % WINDOW[rate] == 0 for event in events)
    return [(names[type(event)], event.offset // WINDOW[rate]) for event in events]


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ([ON], []),
        ([ON, ON], [("start", 0)]),
        ([OFF, ON, OFF, ON], [("start", 1)]),
        ([ON, OFF, OFF, ON, OFF, OFF, ON], []),  # blips
        ([ON, OFF, OFF, ON, ON], [("start", 3)]),
        ([0.5, 0.5], [("start", 0)]),
        ([MIDDLE] * 9, []),
        ([ON, ON] + [OFF] * 4, [("start", 0)]),
        ([ON, ON] + [OFF] * 5, [("start", 0), ("end", 2)]),
        ([ON, ON] + [MIDDLE] * 9, [("start", 0)]),
        ([ON, ON, MIDDLE, 0.35] + [OFF] * 5, [("start", 0), ("end", 4)]),
        ([ON, ON] + [OFF] * 4 + [MIDDLE] + [OFF] * 4, [("start", 0)]),
        (
            [ON, ON] + [OFF] * 5 + [ON, ON] + [OFF] * 5,
            [("start", 0), ("end", 2), ("start", 7), ("end", 9)],
        ),
        ([ON, ON] + [OFF] * 5 + [ON], [("start", 0), ("end", 2)]),
    ],
)
def test_what_starts_and_ends_speech(
    sequence: list[float], expected: list[tuple[str, int]]
) -> None:
    assert in_windows(gate_events(sequence)) == expected
    assert in_windows(gate_events(sequence, 16000), 16000) == expected


def test_settings_move_the_limits() -> None:
    eager = GateSettings(on=0.3, off=0.2, start_windows=1, start_within=1, hangover_ms=33)
    assert in_windows(gate_events([0.3, 0.1, 0.2, 0.1, 0.1], settings=eager)) == [
        ("start", 0),
        ("end", 3),
    ]
    hasty = GateSettings(hangover_ms=1)
    assert in_windows(gate_events([ON, ON, OFF, ON], settings=hasty)) == [("start", 0), ("end", 2)]


@pytest.mark.parametrize(
    "bad",
    [
        {"on": 0.3, "off": 0.4},
        {"on": 1.1},
        {"off": -0.1},
        {"start_windows": 0},
        {"start_windows": 4},
        {"hangover_ms": 0},
    ],
)
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        GateSettings(**bad)  # type: ignore[arg-type]


def test_a_gap_is_silence() -> None:
    gate = SpeechGate(8000)
    gate.handle(256, ON)
    assert gate.handle(512, ON) == [SpeechStarted(0)]
    assert gate.silence(512 + 1279) == []
    assert gate.speaking
    assert gate.silence(512 + 1280) == [SpeechEnded(512)]
    assert gate.silence(99_000) == []
    assert gate.handle(100_256, ON) == [], "what was loud before the gap does not count"
    assert gate.handle(100_512, ON) == [SpeechStarted(100_000)]
    assert gate.handle(200_256, ON) == [SpeechEnded(100_512)], "the gap is noticed by itself"


def test_a_window_must_follow_the_one_before() -> None:
    gate = SpeechGate(8000)
    with pytest.raises(OutOfOrder):
        gate.handle(255, ON)
    gate.handle(256, ON)
    with pytest.raises(OutOfOrder):
        gate.handle(511, ON)
    with pytest.raises(OutOfOrder) as caught:
        gate.silence(255)
    assert caught.value.details["limit"] == "256"
    gate.handle(512, OFF)


@pytest.mark.parametrize("probability", [-0.01, 1.01, float("nan"), float("inf")])
def test_only_probabilities_are_taken(probability: float) -> None:
    with pytest.raises(InvalidInput, match="probability"):
        SpeechGate(8000).handle(256, probability)


def _twin(sequence: Sequence[float], hangover: int = 5) -> list[tuple[str, int]]:
    """Look at the whole sequence at every step, instead of keeping a state."""
    events: list[tuple[str, int]] = []
    quiet_since = 0
    for now in range(len(sequence)):
        if len(events) % 2 == 0:
            loud = [k for k in range(max(quiet_since, now - 2), now + 1) if sequence[k] >= 0.5]
            if len(loud) >= 2 and sequence[now] >= 0.5:
                events.append(("start", loud[0]))
        elif now >= hangover and all(p < 0.35 for p in sequence[now - hangover + 1 : now + 1]):
            events.append(("end", now - hangover + 1))
            quiet_since = now + 1
    return events


@settings(max_examples=200)
@given(probabilities)
def test_the_gate_equals_a_twin_that_sees_everything(sequence: list[float]) -> None:
    assert in_windows(gate_events(sequence)) == _twin(sequence)


@given(
    steps=st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 1)), max_size=60),
    rate=st.sampled_from([8000, 16000]),
)
def test_events_alternate_and_move_forward(steps: list[tuple[int, float]], rate: int) -> None:
    gate, at = SpeechGate(rate), 0
    events: list[SpeechEvent] = []
    for gap, probability in steps:
        at += gap + WINDOW[rate]
        new = gate.handle(at, probability)
        assert all(event.offset <= at for event in new)
        events += new
        expected = [SpeechStarted, SpeechEnded] * len(events)
        assert [type(event) for event in events] == expected[: len(events)]
        assert gate.speaking == (len(events) % 2 == 1)
    for one, two in pairwise(events):
        # Speech lasts; two runs of it may touch.
        assert one.offset < two.offset + isinstance(one, SpeechEnded)
    events += gate.silence(at + WINDOW_MS * rate)
    assert len(events) % 2 == 0
