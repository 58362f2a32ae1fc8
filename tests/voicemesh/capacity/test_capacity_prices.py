"""Prices as a file, and what a leg weighs on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicemesh.bench.caller import Caller, Manner
from voicemesh.bench.clip import RATE, recorded
from voicemesh.bench.tally import Tally
from voicemesh.bench.twilio import TwilioLeg
from voicemesh.capacity import prices, traffic
from voicemesh.carriers.dialect import DialectSettings, Play
from voicemesh.carriers.twilio import TwilioApplication
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

TALK = prices.load().conversation


def test_example_prices_say_so() -> None:
    assert prices.EXAMPLES.read_text().startswith("# EXAMPLES")
    assert prices.load().providers.stt_minute > 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("core_hour: 0.04", "core_hour: -1"), r"default\.core_hour"),
        (("stt_minute", "stt_hour"), r"providers\.stt_minute"),
        (("caller_speaks: 0.4", "caller_speaks: 4"), r"conversation\.caller_speaks"),
        (("currency: USD", "currency: ["), "cannot be read"),
    ],
)
def test_a_wrong_price_is_explained(tmp_path: Path, change: tuple[str, str], why: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(prices.EXAMPLES.read_text().replace(*change))
    with pytest.raises(InvalidInput, match=why):
        prices.load(path)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        prices.load(tmp_path / "none.yaml")


def test_a_twilio_leg_weighs_what_its_messages_do() -> None:
    clip = recorded()
    caller = Caller(0, Manner(len(clip.frames), 1.0), Tally(), RATE)
    leg = TwilioLeg("127.0.0.1:1", "desk", caller, clip)
    up = len(leg._media(15_000, leg._payloads[0])) + 8 + traffic.TLS + traffic.TCP
    assert traffic.LEGS["twilio"].up == pytest.approx(traffic.FRAMES * up, rel=0.02)


def test_a_twilio_bot_weighs_what_its_messages_do() -> None:
    application = TwilioApplication(DialectSettings())
    [*_] = application.receive(_start())
    [frame] = application.send(Play(recorded().frames[0]))
    down = len(frame) + 4 + traffic.TLS + traffic.TCP
    assert traffic.LEGS["twilio"].down == pytest.approx(traffic.FRAMES * down, rel=0.02)


def _start() -> str:
    clip = recorded()
    leg = TwilioLeg("1:1", "desk", Caller(0, Manner(1, 1.0), Tally(), RATE), clip)
    start = {
        "streamSid": leg._stream,
        "callSid": "CA1",
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    return leg._message("start", start)


def test_silence_costs_only_where_it_is_sent() -> None:
    sip, twilio = traffic.leg("sip"), traffic.leg("twilio")
    assert sip.to_caller(TALK) == sip.down
    assert twilio.to_caller(TALK) == pytest.approx(twilio.down * TALK.bot_speaks)


def test_inside_only_speech_is_carried() -> None:
    silent = TALK.model_copy(update={"caller_speaks": 0.0, "bot_speaks": 0.0, "turns_a_minute": 0})
    assert not any(traffic.hops(silent).values())
    assert traffic.hops(TALK)["gateway - orchestrator"] > 0.8 * traffic.AUDIO * 0.8
