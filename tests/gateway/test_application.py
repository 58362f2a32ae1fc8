"""What an application does to a call: mute, hold, sounds, digits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateway import commands as do, events as on
from gateway.application import MAX_SOUNDS
from gateway.reports import BargedIn, SpeechBegan
from tests.gateway.rig import FRAME, RATE, Rig, messages, silence, speech
from voicemesh.audio import Chunk
from voicemesh.errors import OutOfOrder, Refused


def live() -> Rig:
    rig = Rig()
    rig.ready()
    rig.plan()
    return rig


def played(commands: list[do.Command]) -> int:
    return sum(each.chunk.samples.size for each in commands if isinstance(each, do.Play))


def heard(commands: list[do.Command]) -> list[Chunk]:
    return [each.chunk for each in commands if isinstance(each, do.Play)]


def test_a_muted_caller_is_not_heard_until_that_ends() -> None:
    rig = live()
    rig.handle(on.MuteSet(True))
    assert not any(isinstance(each, SpeechBegan) for each in messages(rig.hear(speech(1.0))))
    rig.handle(on.MuteSet(False))
    rig.hear(silence(0.5))
    assert any(isinstance(each, SpeechBegan) for each in messages(rig.hear(speech(1.0))))


def test_muting_in_the_middle_of_a_word_ends_it() -> None:
    rig = live()
    rig.hear(speech(0.5))
    assert rig.call.uplink.speaking
    rig.handle(on.MuteSet(True))
    rig.hear(speech(1.0))
    assert not rig.call.uplink.speaking


def test_on_hold_the_bot_falls_silent_and_goes_on_where_it_was() -> None:
    rig = live()
    rig.handle(on.BotSounded(Chunk(0, speech(2.0))))
    rig.wait(0.5)
    stopped = rig.handle(on.HoldSet(True))
    assert any(isinstance(each, do.Clear) for each in stopped)
    at = rig.call.downlink.playout.heard(rig.now)
    assert at == pytest.approx(0.5 * RATE, abs=FRAME * RATE)
    assert not played(rig.wait(3.0))
    assert rig.handle(on.HoldSet(True)) == []
    again = heard(rig.handle(on.HoldSet(False)) + rig.wait(3.0))
    assert again[0].offset == at
    np.testing.assert_array_equal(
        np.concatenate([each.samples for each in again]), speech(2.0)[at:]
    )


def test_on_hold_the_caller_is_not_heard_and_interrupts_nothing() -> None:
    rig = live()
    rig.handle(on.BotSounded(Chunk(0, speech(2.0))))
    rig.handle(on.HoldSet(True))
    sent = messages(rig.hear(speech(1.0)))
    assert not any(isinstance(each, SpeechBegan | BargedIn) for each in sent)


def test_what_the_bot_says_on_hold_is_heard_behind_it() -> None:
    rig = live()
    rig.handle(on.HoldSet(True))
    assert not played(rig.handle(on.BotSounded(Chunk(0, speech(0.5)))))
    assert not played(rig.wait(1.0))
    assert played(rig.handle(on.HoldSet(False)) + rig.wait(1.0)) == RATE // 2


def test_a_sound_waits_for_the_bot_and_the_bot_for_the_sound() -> None:
    rig = live()
    rig.handle(on.BotSounded(Chunk(0, speech(0.5))))
    assert not played(rig.handle(on.SoundGiven(speech(0.3, 7))))
    rig.wait(0.6)
    rig.handle(on.BotSounded(Chunk(RATE // 2, speech(0.2))))
    rig.wait(1.5)
    every = np.concatenate(
        [each.samples for _, each in ((t, c.chunk) for t, c in rig.out if isinstance(c, do.Play))]
    )
    expected = np.concatenate([speech(0.5), speech(0.3, 7), speech(0.2)])
    np.testing.assert_array_equal(every, expected)
    assert rig.call.due == math.inf


def test_a_sound_is_heard_on_hold() -> None:
    rig = live()
    rig.handle(on.BotSounded(Chunk(0, speech(0.5))))
    rig.handle(on.HoldSet(True))
    assert played(rig.handle(on.SoundGiven(speech(0.3))) + rig.wait(1.0)) == round(0.3 * RATE)
    assert played(rig.handle(on.HoldSet(False)) + rig.wait(1.0)) > 0


def test_a_caller_who_speaks_breaks_a_sound_off() -> None:
    rig = live()
    rig.handle(on.SoundGiven(speech(5.0)))
    rig.hear(speech(0.5))
    assert not played(rig.hear(speech(1.0)))


def test_so_many_sounds_may_wait_and_no_more() -> None:
    rig = live()
    rig.handle(on.BotSounded(Chunk(0, speech(2.0))))
    for _ in range(MAX_SOUNDS):
        rig.handle(on.SoundGiven(speech(0.1)))
    with pytest.raises(Refused):
        rig.handle(on.SoundGiven(speech(0.1)))


def test_digits_go_to_the_leg() -> None:
    assert do.SendDigits("12#") in live().handle(on.DigitsGiven("12#"))


def test_nothing_can_be_played_before_the_call_stands() -> None:
    with pytest.raises(OutOfOrder):
        Rig().handle(on.SoundGiven(speech(0.1)))
