"""What holds for every row of the table, whichever carrier: a new one is tested by being there."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given, strategies as st

from voicemesh.carriers.dialect import (
    Application,
    Began,
    Carrier,
    Clear,
    Command,
    Dialect,
    DialectSettings,
    Event,
    Frame,
    HangUp,
    Mark,
    Marks,
    Play,
    Press,
    Pressed,
    Reached,
    Respond,
    Sounded,
    Stopped,
)
from voicemesh.carriers.table import DIALECTS
from voicemesh.emulate import natural_start
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTINGS = DialectSettings()
Kind = TypeVar("Kind")

every = pytest.mark.parametrize("name", DIALECTS)
digits = st.sampled_from("0123456789*#")
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=40)
variables = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=8),
    st.text("xyz01", min_size=1, max_size=8),
    max_size=4,
)


def ends(name: str) -> tuple[Application, Carrier]:
    return DIALECTS[name].application(SETTINGS), DIALECTS[name].carrier(SETTINGS)


def told(application: Application, carrier: Carrier, events: Iterable[Event]) -> list[Event]:
    """Return what the application hears; what it has to answer is answered."""
    heard: list[Event] = []
    for event in events:
        for frame in [*carrier.send(event)]:
            for one in application.receive(frame):
                if isinstance(one, Respond):
                    list(carrier.receive(one.frame))
                else:
                    heard.append(one)
    return heard


def begun(name: str) -> tuple[Application, Carrier, Began]:
    application, carrier = ends(name)
    heard = told(application, carrier, [natural_start(DIALECTS[name], SETTINGS)])
    [began] = [one for one in heard if isinstance(one, Began)]
    return application, carrier, began


def of(kind: type[Kind], found: Iterable[object]) -> list[Kind]:
    return [one for one in found if isinstance(one, kind)]


@every
def test_a_row_is_named_after_its_place(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.name == name == name.lower()
    assert dialect.title
    assert 0 < dialect.capabilities.frame_ms <= 1000
    assert dialect.capabilities.queue_seconds * 1000 >= dialect.capabilities.frame_ms


@every
@given(variables, st.text("+0123456789", max_size=15))
def test_a_start_tells_what_it_can_and_nothing_else(
    name: str, parameters: dict[str, str], number: str
) -> None:
    sent = natural_start(
        DIALECTS[name], SETTINGS, caller=number, callee=number, parameters=parameters
    )
    application, carrier = ends(name)
    [heard] = told(application, carrier, [sent])
    assert isinstance(heard, Began)
    assert heard.call_id == sent.call_id
    assert (heard.sent, heard.played) == (sent.sent, sent.played)
    nothing = Began(heard.call_id)
    for field in fields(Began):
        value = getattr(heard, field.name)
        assert value in (getattr(sent, field.name), getattr(nothing, field.name)), field.name
    # What arrived arrives again.
    application, carrier = ends(name)
    assert told(application, carrier, [heard]) == [heard]


@every
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.lists(digits, max_size=5))
def test_sound_and_keys_arrive_whole_and_in_order(
    name: str, frames: list[int], keys: list[str]
) -> None:
    application, carrier, began = begun(name)
    frame = began.sent.rate * DIALECTS[name].capabilities.frame_ms // 1000
    sounds = [bytes([n] * (n * frame * began.sent.bytes_per_sample)) for n in frames]
    heard = told(application, carrier, [Sounded(sound) for sound in sounds])
    assert b"".join(one.data for one in of(Sounded, heard)) == b"".join(sounds)
    assert of(Sounded, heard) == heard
    heard = told(application, carrier, [Pressed(key) for key in keys])
    assert of(Pressed, heard) == heard
    assert [one.digit for one in of(Pressed, heard)] in (keys, [])


@every
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6), names, st.text("0123456789*#", min_size=1)
)
def test_commands_arrive_where_the_carrier_can(
    name: str, frames: list[int], mark: str, keys: str
) -> None:
    application, carrier, began = begun(name)
    can = DIALECTS[name].capabilities

    def got(command: Command) -> list[Command]:
        return [one for frame in application.send(command) for one in carrier.receive(frame)]

    frame = began.played.rate * can.frame_ms // 1000 * began.played.bytes_per_sample
    for count in frames:
        data = bytes([count] * (count * frame))
        played = got(Play(data))
        assert b"".join(one.data for one in of(Play, played)) == data
        assert of(Play, played) == played
    assert got(Mark(mark)) == ([] if can.marks is Marks.NONE else [Mark(mark)])
    assert got(Clear()) == ([Clear()] if can.clears else [])
    assert got(Press(keys[:16])) == ([Press(keys[:16])] if can.presses else [])
    assert len(of(HangUp, got(HangUp("done")))) == int(can.hangs_up)


@every
@given(names)
def test_a_mark_comes_back_under_its_name(name: str, mark: str) -> None:
    application, carrier, _ = begun(name)
    heard = told(application, carrier, [Reached(mark)])
    can = DIALECTS[name].capabilities.marks is not Marks.NONE
    assert heard == ([Reached(mark)] if can else [])


@every
def test_the_end_ends_it(name: str) -> None:
    application, carrier, _ = begun(name)
    heard = told(application, carrier, [Stopped("hangup")])
    assert [replace(one, reason="") for one in of(Stopped, heard)] in ([], [Stopped()])


@every
def test_audio_before_the_start_is_refused(name: str) -> None:
    _, carrier, began = begun(name)
    frame = b"\x01" * (began.sent.rate // 50 * began.sent.bytes_per_sample)
    for written in carrier.send(Sounded(frame)):
        with pytest.raises(InvalidInput):
            list(ends(name)[0].receive(written))


def _harmed(dialect: Dialect) -> st.SearchStrategy[Frame]:
    """Frames of this carrier, cut or changed, and nonsense."""
    carrier = dialect.carrier(SETTINGS)
    began = natural_start(dialect, SETTINGS)
    good = [*carrier.send(began)]
    frame = b"\x01" * (began.sent.rate // 50 * began.sent.bytes_per_sample)
    for event in (Sounded(frame), Pressed("1"), Reached("m1"), Stopped("x")):
        with suppress(InvalidInput):
            good += carrier.send(event)
    junk = st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200),
        st.just("[" * 60_000),
        st.just('{"event":"media","media":' + "9" * 5000 + "}"),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.dictionaries(
                st.sampled_from(["event", "type", "media", "start", "streamSid", "payload"]), inner
            ),
            max_leaves=6,
        ).map(json.dumps),
    )
    cut = st.tuples(st.sampled_from(good), st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
    return st.one_of(st.sampled_from(good), cut, junk)


@every
@given(data=st.data())
def test_nonsense_is_refused_by_name_and_nothing_else_happens(
    name: str, data: st.DataObject
) -> None:
    frames = data.draw(st.lists(_harmed(DIALECTS[name]), max_size=6))
    for end in ends(name):
        for frame in frames:
            with suppress(InvalidInput):
                list(end.receive(frame))
