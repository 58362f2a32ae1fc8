from __future__ import annotations

import pytest

from tests.support.fake_gateway import FakeGateway, running
from voicemesh.client import FORMATS, HangUp, Interrupt, Say, Speaker, voiced
from voicemesh.errors import NotFound


@pytest.mark.parametrize("name", ["pcmu", "l16-16000", "l16-48000"])
async def test_words_become_sound_at_the_caller_s_rate(name: str) -> None:
    async with running(FakeGateway({})) as address, Speaker.at(address) as speaker:
        sound = await speaker.speak("0123456789", FORMATS[name])
    assert sound.size == FORMATS[name].rate // 10


async def test_a_voice_that_is_not_there_is_not_found() -> None:
    async with running(FakeGateway({})) as address, Speaker.at(address, engine="mute") as speaker:
        with pytest.raises(NotFound):
            await speaker.speak("hello", FORMATS["pcmu"])


async def test_all_words_of_a_script_are_spoken_before_the_call() -> None:
    async with running(FakeGateway({})) as address, Speaker.at(address) as speaker:
        said, interruption, last = await voiced(
            [Say("hello"), Interrupt(Say("stop")), HangUp()], speaker, FORMATS["pcmu"]
        )
    assert isinstance(said, Say)
    assert said.samples is not None
    assert isinstance(interruption, Interrupt)
    assert interruption.speech.samples is not None
    assert last == HangUp()
