"""The carrier leg by itself: what becomes of the bot's audio, of marks, and of sound too fast."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given, strategies as st

from gateway import commands as do, events as on
from gateway.legs.beyond import Beyond
from gateway.legs.carrier import EARLY_SECONDS, CarrierLeg, Pace, Patience
from gateway.legs.closing import MAX_REASON_BYTES, close_code, close_reason
from gateway.legs.voice import MARK_SECONDS, MOST_LAG_SECONDS, CarrierVoice
from gateway.playout import LEAD_SECONDS, Playout
from voicemesh.audio import Chunk, decode_mulaw
from voicemesh.carriers.dialect import (
    LINEAR_16K,
    MULAW_8K,
    Capabilities,
    Clear,
    DialectSettings,
    Frame,
    Mark,
    Marks,
    Play,
    Pressed,
    Reached,
    Sounded,
)
from voicemesh.carriers.rest.control import Ability
from voicemesh.carriers.table import DIALECTS
from voicemesh.emulate import EmulatedCarrier, natural_start
from voicemesh.errors import (
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    OutOfOrder,
    Refused,
    VoicemeshError,
)

if TYPE_CHECKING:
    from voicemesh.carriers.rest.control import CallControl

RATE = 8000
PHONE = Capabilities(marks=Marks.PLAYED_OR_CLEARED)
SETTINGS = DialectSettings()


def ramp(offset: int, count: int) -> Chunk:
    samples = (np.arange(offset, offset + count) * 37 % 9000 + 500).astype(np.int16)
    return Chunk(offset, samples)


def sizes(commands: object) -> list[int]:
    return [len(each.data) for each in commands if isinstance(each, Play)]  # type: ignore[attr-defined]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=20),
    st.sampled_from([20, 60, 100, 200]),
    st.booleans(),
)
def test_every_sample_is_sent_once_in_the_pieces_that_the_carrier_takes(
    runs: list[int], frame_ms: int, whole: bool
) -> None:
    can = Capabilities(frame_ms=frame_ms, whole_frames=whole)
    voice = CarrierVoice(MULAW_8K, RATE, can)
    sent, offset, now = bytearray(), 0, 100.0
    frame = frame_ms * RATE // 1000
    for run in runs:
        count = run * 160
        played = [*voice.play(ramp(offset, count), now)]
        assert all(size % frame == 0 if whole else size >= frame for size in sizes(played))
        sent += b"".join(one.data for one in played if isinstance(one, Play))
        offset += count
        now += count / RATE
    rest = [one for one in voice.rest(now) if isinstance(one, Play)]
    assert all(size % frame == 0 if whole else size >= frame for size in sizes(rest))
    sent += b"".join(one.data for one in rest)
    whole_sound = ramp(0, offset).samples
    heard = decode_mulaw(bytes(sent))
    assert heard.size - offset < frame
    assert np.abs(heard[:offset].astype(int) - whole_sound).max() < 300  # mu-law's own error
    assert not heard[offset:].any()
    assert [*voice.rest(now)] == []


def test_a_gap_that_took_its_time_is_silence_and_one_that_did_not_is_none() -> None:
    voice = CarrierVoice(MULAW_8K, RATE, PHONE)
    assert sizes(voice.play(ramp(0, 800), 0.0)) == [800]
    # 50 ms of silence, handed out with 60 ms to go, as the playout clock does.
    assert sizes(voice.play(ramp(1200, 160), 0.06)) == [400 + 160]
    # A range that was flushed: nobody waits for it.
    assert sizes(voice.play(ramp(90_000, 160), 0.1)) == [160]


def test_marks_are_rare_and_tell_the_lag() -> None:
    voice = CarrierVoice(MULAW_8K, RATE, PHONE)
    marks: list[tuple[str, float]] = []
    for number in range(50):
        now = number * 0.06
        played = voice.play(ramp(number * 480, 480), now)
        marks += [(one.name, now + 0.06) for one in played if isinstance(one, Mark)]
    assert 3.0 / MARK_SECONDS - 2 <= len(marks) <= 3.0 / MARK_SECONDS
    assert voice.reached(marks[0][0], marks[0][1] + 0.25) == pytest.approx(0.25)
    assert voice.reached(marks[0][0], 9.0) is None, "each counts once"
    assert voice.reached("of somebody else", 9.0) is None
    assert voice.reached(marks[1][0], 100.0) == MOST_LAG_SECONDS
    assert voice.reached(marks[2][0], 0.0) == 0.0


def test_a_mark_that_a_clear_gave_back_tells_nothing() -> None:
    voice = CarrierVoice(MULAW_8K, RATE, PHONE)
    [_, mark] = voice.play(ramp(0, 8000), 0.0)
    assert isinstance(mark, Mark)
    assert [*voice.clear(0.3)] == [Clear()]
    assert voice.reached(mark.name, 0.31) is None
    [play] = voice.play(ramp(2400, 480), 0.4)
    assert isinstance(play, Play)
    assert voice.until == pytest.approx(0.46)


def test_who_cannot_clear_plays_on() -> None:
    voice = CarrierVoice(LINEAR_16K, 16000, Capabilities(clears=False, whole_frames=True))
    [*_] = voice.play(Chunk(0, np.ones(1600, np.int16)), 0.0)
    assert [*voice.clear(0.02)] == []
    assert voice.until == pytest.approx(0.1)


def test_the_lag_moves_what_was_heard_and_never_back() -> None:
    playout = Playout(RATE)
    playout.add(ramp(0, RATE), 0.0)
    assert playout.heard(0.1) == 800
    playout.lag(0.06)
    assert playout.heard(0.11) == 800, "not back"
    for tick in range(1, 15):
        playout.tick(0.1 + tick * 0.02)
    assert playout.heard(0.4) == pytest.approx(0.34 * RATE, abs=1)
    [clear] = playout.pause(0.5)
    assert clear == do.Clear(playout.heard(0.5))
    assert playout.heard(9.0) == pytest.approx(0.44 * RATE, abs=1)


def test_more_is_handed_out_ahead_for_long_frames() -> None:
    [play] = Playout(RATE, ahead=0.2).add(ramp(0, RATE), 0.0)
    assert isinstance(play, do.Play)
    assert play.chunk.samples.size == pytest.approx((LEAD_SECONDS + 0.2) * RATE)


@given(st.lists(st.floats(0, 2), max_size=60))
def test_speech_in_real_time_is_never_too_fast(stalls: list[float]) -> None:
    pace, spoken, now = Pace(0.0), 0.0, 0.0
    for stall in stalls:
        now += stall
        while spoken + 0.02 <= now:  # all that was held up comes at once
            spoken += 0.02
            pace.take(0.02, now)


def test_an_hour_in_a_second_is_too_fast() -> None:
    pace = Pace(0.0)
    for _ in range(int(EARLY_SECONDS / 0.02) - 1):
        pace.take(0.02, 0.0)
    with pytest.raises(Refused, match="ahead of real time"):
        pace.take(0.1, 0.0)
    pace = Pace(0.0)
    with pytest.raises(Refused):
        pace.take(60.0, 3600.0)


class Wire:
    """Takes what the leg gives."""

    def __init__(self) -> None:
        self.unsent = 0
        self.written: list[Frame] = []
        self.writes = 0
        self.closed: list[tuple[VoicemeshError | None, float]] = []

    def write(self, frames: object) -> None:
        self.written += frames  # type: ignore[arg-type]
        self.writes += 1

    def close(self, error: VoicemeshError | None, seconds: float = 0.0) -> None:
        self.closed.append((error, seconds))


class Table:
    """A leg and the carrier that it talks to; the test moves the clock."""

    def __init__(self, name: str) -> None:
        self.now = 10.0
        dialect = DIALECTS[name]
        began = natural_start(dialect, SETTINGS)
        self.carrier = EmulatedCarrier(dialect, began, SETTINGS)
        self.wire = Wire()
        application = dialect.application(SETTINGS)
        starts = [e for f in self.carrier.begin() for e in application.receive(f)]
        assert starts
        self.leg = CarrierLeg(
            dialect, application, began, self.wire, lambda: self.now, Patience(1.0, 5.0)
        )

    def tell(self, *events: Sounded | Pressed | Reached) -> list[on.LegEvent]:
        for event in events:
            for frame in self.carrier._carrier.send(event):
                self.leg.put(frame)
        return [*self.leg.take()]


def test_a_tick_takes_all_sound_in_as_one_and_keys_at_their_place() -> None:
    table = Table("twilio")
    quiet = Sounded(b"\xff" * 160)
    first, key, second = table.tell(quiet, quiet, Pressed("7"), quiet)
    assert isinstance(first, on.CallerSounded)
    assert (first.offset, first.samples.size) == (0, 320)
    assert key == on.CallerPressed("7")
    assert isinstance(second, on.CallerSounded)
    assert second.offset == 320


def test_each_play_is_one_write() -> None:
    table = Table("vonage")
    table.leg.give(do.Play(Chunk(0, np.ones(1600, np.int16))))
    assert table.wire.writes == 1
    assert [len(frame) for frame in table.wire.written] == [320] * 10


def test_what_the_socket_cannot_do_is_counted_not_lost_silently() -> None:
    table = Table("twilio")
    table.leg.give(do.SendDigits("12"))
    table.leg.give(do.Transfer("+1555"))
    assert table.wire.written == []
    other = Table("plivo")
    other.leg.give(do.SendDigits("12"))
    assert "sendDTMF" in str(other.wire.written[0])


def test_the_end_waits_for_what_is_still_being_heard() -> None:
    table = Table("twilio")
    table.leg.give(do.Play(Chunk(0, np.ones(800, np.int16))))
    table.leg.give(do.End("bot_hung_up", (), 1.0))
    [(error, seconds)] = table.wire.closed
    assert error is None
    assert seconds == pytest.approx(0.1)
    gone = Table("twilio")
    gone.leg.give(do.Play(Chunk(0, np.ones(800, np.int16))))
    gone.leg.leave(vanished=True)
    assert [*gone.leg.take()] == [on.CallerLeft(vanished=True)]
    gone.leg.give(do.End("caller_vanished", (), 1.0))
    assert gone.wire.closed == [(None, 0.0)]
    gone.leg.give(do.Rest())
    assert len(gone.wire.closed) == 1


class Control:
    """An API that takes note of whom it hung up."""

    abilities = frozenset({Ability.HANG_UP})

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.asked: list[str] = []

    async def hang_up(self, call_id: str, key: str) -> None:
        self.asked.append(call_id)
        self.ended.set()
        raise NotFound("over already")


@pytest.mark.parametrize(
    ("placed", "reason", "asked"),
    [
        (True, "bot_hung_up", ["CA1"]),
        (False, "bot_hung_up", []),
        (True, "caller_hung_up", []),
    ],
)
@pytest.mark.virtual_time
async def test_a_call_that_we_placed_is_ended_at_its_carrier(
    placed: bool, reason: str, asked: list[str]
) -> None:
    table, control = Table("telnyx"), Control()
    control_of_it = cast("CallControl", control)
    table.leg.beyond = Beyond("telnyx", control_of_it, "CA1", lambda target: target)
    table.leg.placed = placed
    table.leg.give(do.Play(Chunk(0, np.ones(8000, np.int16))))
    table.leg.give(do.End(reason, (), 1.0))
    began = asyncio.get_running_loop().time()
    with suppress(TimeoutError):
        await asyncio.wait_for(control.ended.wait(), 5)
        # Not before the caller has heard the rest.
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.0, abs=0.3)
    assert control.asked == asked


def test_patience_ends() -> None:
    table = Table("twilio")
    table.wire.unsent = 1
    assert table.leg.stuck(10.0) is None
    assert table.leg.stuck(10.9) is None
    unread = table.leg.stuck(11.0)
    assert unread is not None
    assert unread.reason == "NOT_READ"
    table.wire.unsent = 0
    assert table.leg.stuck(12.0) is None
    idle = table.leg.stuck(15.0)
    assert idle is not None
    assert idle.reason == "IDLE"


def test_every_error_has_a_close_code_and_a_reason_that_fits() -> None:
    assert close_code(OutOfOrder("media", "came before start")) == 1002
    assert close_code(InvalidInput("frame", "is no JSON", reason="NOT_JSON")) == 1007
    assert close_code(InvalidInput("frame", "", reason="WRONG_CODEC")) == 1003
    assert close_code(Denied("no")) == 1008
    assert close_code(Refused("full")) == 1013
    assert close_code(Refused("fast", reason="TOO_FAST")) == 1008
    assert close_code(Misconfigured("ours")) == close_code(VoicemeshError("?")) == 1011
    long = close_reason(InvalidInput("frame", "é" * 200))
    assert len(long.encode()) <= MAX_REASON_BYTES
    assert long.startswith("INVALID_FIELD: frame: éé")


def test_no_more_is_sent_ahead_than_the_carrier_may_hold() -> None:
    assert Table("twilio").leg.ahead == 0.0
    assert Table("exotel").leg.ahead == pytest.approx(0.1)
    assert Table("audiosocket").leg.ahead == pytest.approx(0.1 - LEAD_SECONDS)
    [play] = Playout(RATE, ahead=0.1 - LEAD_SECONDS).add(ramp(0, RATE), 0.0)
    assert isinstance(play, do.Play)
    assert play.chunk.samples.size == 800
