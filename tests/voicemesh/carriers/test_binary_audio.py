"""Carriers of binary audio: what one end writes the other reads, and nonsense is named."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import example, given, strategies as st

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.audiosocket import DIGIT, HANGUP, IDENTITY, Packets, write_packet
from voicemesh.carriers.dialect import (
    LINEAR_16K,
    MAX_FRAME_BYTES,
    MULAW_8K,
    Began,
    Clear,
    Command,
    DialectSettings,
    Emptied,
    Event,
    Frame,
    HangUp,
    Mark,
    Play,
    Pressed,
    Reached,
    Respond,
    Show,
    Sounded,
    Stopped,
)
from voicemesh.carriers.table import DIALECTS
from voicemesh.errors import InvalidInput, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = DialectSettings()
NAMES = ["vonage", "jambonz", "audiohook", "audiosocket", "browser"]
LINEAR = [AudioFormat(Encoding.LINEAR16, rate) for rate in (8000, 16000, 24000)]

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
parameters = st.dictionaries(words.map("p-".__add__), words, max_size=5)
digits = st.sampled_from("0123456789*#ABCD")


def began(name: str, fmt: AudioFormat, call: UUID, told: dict[str, str], number: str) -> Began:
    """Return a beginning that says as much as the carrier can."""
    if name == "audiosocket":
        return Began(call_id=str(call), sent=fmt, played=fmt)
    if name == "browser":
        said = {**told, "bot": "echo", "token": number}
        return Began(str(call), parameters=said, sent=LINEAR_16K, played=LINEAR_16K)
    if name == "audiohook":
        fmt = MULAW_8K
    ids = {"account_id": "account", "caller": number, "callee": "+4930123456"}
    stream = str(call) if name == "audiohook" else ""
    return Began(str(call), stream_id=stream, **ids, parameters=told, sent=fmt, played=fmt)


def begun(name: str, fmt: AudioFormat = LINEAR[0]) -> tuple[Any, Any, list[Event]]:
    """Return both ends of a call that has begun, and what ours heard of it."""
    application, carrier = DIALECTS[name].application(SETTINGS), DIALECTS[name].carrier(SETTINGS)
    start = began(name, fmt, UUID(int=7), {"branch": "berlin"}, "+4930654321")
    heard = [e for frame in carrier.send(start) for e in application.receive(frame)]
    for event in heard:
        if isinstance(event, Respond):
            list(carrier.receive(event.frame))
    return application, carrier, heard


@pytest.mark.parametrize("name", NAMES)
@given(
    fmt=st.sampled_from(LINEAR),
    call=st.uuids(allow_nil=False),
    told=parameters,
    number=st.from_regex(r"\+[0-9]{2,15}", fullmatch=True),
)
def test_a_beginning_arrives(
    name: str, fmt: AudioFormat, call: UUID, told: dict[str, str], number: str
) -> None:
    application, carrier = DIALECTS[name].application(SETTINGS), DIALECTS[name].carrier(SETTINGS)
    start = began(name, fmt, call, told, number)
    heard = [e for frame in carrier.send(start) for e in application.receive(frame)]
    assert [e for e in heard if not isinstance(e, Respond)] == [start]


EVENTS: dict[str, tuple[type[Event], ...]] = {
    "vonage": (Sounded, Pressed, Reached, Emptied),
    "jambonz": (Sounded, Pressed, Reached),
    "audiohook": (Sounded, Pressed),
    "audiosocket": (Sounded, Pressed),
    "browser": (Sounded, Pressed, Reached, Emptied),
}
events = {
    Sounded: st.binary(min_size=1, max_size=320).map(lambda half: Sounded(half * 2)),
    Pressed: digits.map(Pressed),
    Reached: words.map(Reached),
    Emptied: st.just(Emptied()),
}


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_events_arrive_in_order(name: str, data: st.DataObject) -> None:
    known = st.one_of([events[kind] for kind in EVENTS[name]])
    told = data.draw(st.lists(known, max_size=20))
    application, carrier, _ = begun(name)
    assert [e for t in told for f in carrier.send(t) for e in application.receive(f)] == told


FRAME_BYTES = {"vonage": 320, "jambonz": 320, "audiohook": 1600, "audiosocket": 320, "browser": 640}
COMMANDS: dict[str, tuple[Command, ...]] = {
    "vonage": (Mark("m1"), Clear()),
    "jambonz": (Mark("m1"), Clear(), HangUp()),
    "audiohook": (Clear(), HangUp("bye")),
    "audiosocket": (HangUp(),),
    "browser": (
        Mark("m1"),
        Clear(),
        HangUp("bye"),
        Show(True, "Guten Tag, ä!"),
        Show(False, "", False),
    ),
}


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_commands_arrive_in_order(name: str, data: st.DataObject) -> None:
    play = st.integers(1, 5).map(lambda n: Play(bytes([n]) * FRAME_BYTES[name]))
    wanted = data.draw(st.lists(play | st.sampled_from(COMMANDS[name]), max_size=20))
    application, carrier, _ = begun(name)
    got = [c for w in wanted for f in application.send(w) for c in carrier.receive(f)]
    assert got == wanted


@pytest.mark.parametrize("name", NAMES)
@given(frames=st.integers(0, 60))
def test_long_audio_is_cut_and_arrives_whole(name: str, frames: int) -> None:
    application, carrier, _ = begun(name)
    data = bytes(range(160)) * 2 * frames
    got = [c for f in application.send(Play(data)) for c in carrier.receive(f)]
    assert b"".join(c.data for c in got) == data


@pytest.mark.parametrize("name", NAMES)
def test_nothing_may_come_before_the_start(name: str) -> None:
    start, carrier, _ = begun(name)
    del start
    for event in (Sounded(b"\0\0" * 160), Pressed("1")):
        application = DIALECTS[name].application(SETTINGS)
        with pytest.raises(OutOfOrder):
            [e for f in carrier.send(event) for e in application.receive(f)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_can_be_played_before_the_start(name: str) -> None:
    with pytest.raises(OutOfOrder):
        list(DIALECTS[name].application(SETTINGS).send(Play(b"\0\0")))


@pytest.mark.parametrize("name", NAMES)
def test_a_second_start_is_refused(name: str) -> None:
    application, carrier, heard = begun(name)
    [start] = [e for e in heard if isinstance(e, Began)]
    with pytest.raises(OutOfOrder):
        [e for f in carrier.send(start) for e in application.receive(f)]


@pytest.mark.parametrize("name", ["vonage", "jambonz", "audiosocket", "browser"])
def test_half_a_sample_is_refused(name: str) -> None:
    application, carrier, _ = begun(name)
    with pytest.raises(InvalidInput):
        [e for f in carrier.send(Sounded(b"\0\0\0")) for e in application.receive(f)]


# Nonsense.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
KNOWN: dict[str, list[dict[str, Any]]] = {
    "vonage": [
        {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "call_id": "c"},
        {"event": "websocket:dtmf", "digit": "5", "duration": 260},
        {"event": "websocket:notify", "payload": {"name": "m"}},
    ],
    "jambonz": [
        {"callSid": "c", "sampleRate": 8000, "mixType": "mono", "parameters": {"a": "b"}},
        {"event": "dtmf", "dtmf": "5", "duration": "1600"},
        {"type": "mark", "data": {"name": "m", "event": "playout"}},
    ],
    "browser": [
        {"type": "start", "bot": "echo", "token": "t", "call": "c", "variables": {"a": "b"}},
        {"type": "digit", "digit": "5"},
        {"type": "mark", "name": "m"},
    ],
    "audiohook": [
        {"version": "2", "id": "s", "type": kind, "seq": n + 1, "serverseq": 0, "parameters": told}
        for n, (kind, told) in enumerate(
            [
                (
                    "open",
                    {
                        "conversationId": "c",
                        "participant": {"ani": "1"},
                        "media": [
                            {
                                "type": "audio",
                                "format": "PCMU",
                                "channels": ["external"],
                                "rate": 8000,
                            }
                        ],
                    },
                ),
                ("dtmf", {"digit": "5"}),
                ("error", {"code": 500, "message": "m"}),
                ("close", {"reason": "end"}),
            ]
        )
    ],
}


@st.composite
def broken(draw: st.DrawFn, known: list[dict[str, Any]]) -> list[Frame]:
    """Return known messages of which some fields say something else."""
    frames: list[Frame] = []
    for message in draw(st.lists(st.sampled_from(known), min_size=1, max_size=4)):
        told = json.loads(json.dumps(message))
        for inside in (told, *(v for v in told.values() if isinstance(v, dict))):
            for field in draw(st.sets(st.sampled_from(sorted(inside)), max_size=1)):
                inside[field] = draw(json_values)
        text = json.dumps(told)
        frames.append(draw(st.sampled_from([text, text[: len(text) // 2]])))
    return frames


def hear(name: str, frames: list[Frame]) -> None:
    """Have our end hear frames; all that it may raise is InvalidInput, which names a field."""
    application = DIALECTS[name].application(SETTINGS)
    for frame in frames:
        with suppress(InvalidInput):
            list(application.receive(frame))


@pytest.mark.parametrize("name", KNOWN)
@given(data=st.data())
def test_broken_messages_are_named(name: str, data: st.DataObject) -> None:
    hear(name, data.draw(broken(KNOWN[name])))


@pytest.mark.parametrize("name", NAMES)
@given(frames=st.lists(st.text(max_size=200) | st.binary(max_size=400), max_size=5))
@example(frames=["[" * MAX_FRAME_BYTES])
@example(
    frames=['{"event":"websocket:connected","content-type":"audio/l16;rate=' + "9" * 5000 + '"}']
)
@example(frames=['{"seq":' + "9" * 5000 + "}"])
@example(frames=[b"\xff" * MAX_FRAME_BYTES])
def test_nonsense_is_named(name: str, frames: list[Frame]) -> None:
    hear(name, frames)


# AudioSocket's stream.

PACKETS = st.lists(
    st.tuples(st.sampled_from([HANGUP, DIGIT, 0x10, 0x42]), st.binary(max_size=700)), max_size=8
)


@given(packets=PACKETS, cuts=st.lists(st.integers(0, 6000)))
def test_packets_are_cut_alike_in_whatever_pieces_they_come(
    packets: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(write_packet(kind, data) for kind, data in packets)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader = Packets()
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert [p for piece in pieces for p in reader.cut(piece)] == packets


def test_an_audiosocket_tells_its_rate_with_its_first_audio() -> None:
    application = DIALECTS["audiosocket"].application(SETTINGS)
    call = UUID(int=7)
    assert not list(application.receive(write_packet(IDENTITY, call.bytes)))
    assert not list(application.receive(write_packet(DIGIT, b"5")))
    heard = list(application.receive(write_packet(0x12, b"\1\0" * 320)))
    wide = AudioFormat(Encoding.LINEAR16, 16000)
    start = Began(call_id=str(call), sent=wide, played=wide)
    assert heard == [start, Pressed("5"), Sounded(b"\1\0" * 320)]
    with pytest.raises(OutOfOrder):
        list(application.receive(write_packet(0x10, b"\1\0" * 160)))


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (write_packet(IDENTITY, b"short"), InvalidInput),
        (write_packet(0x11, b"\0\0"), InvalidInput),  # 12 kHz, which nobody here plays
        (write_packet(DIGIT, b"x"), InvalidInput),
        (write_packet(DIGIT), InvalidInput),
    ],
)
def test_what_an_audiosocket_cannot_mean_is_refused(
    packet: bytes, error: type[InvalidInput]
) -> None:
    application = DIALECTS["audiosocket"].application(SETTINGS)
    if packet[0] != IDENTITY:
        list(application.receive(write_packet(IDENTITY, bytes(16))))
    with pytest.raises(error):
        list(application.receive(packet))


# AudioHook's order.


def changed(**fields: object) -> Callable[[dict[str, Any]], str]:
    return lambda message: json.dumps({**message, **fields})


@pytest.mark.parametrize(
    "change",
    [
        changed(seq=1),
        changed(seq=3),
        changed(serverseq=2),
        changed(id="another"),
        changed(version="1"),
    ],
)
def test_audiohook_messages_out_of_order_are_refused(
    change: Callable[[dict[str, Any]], str],
) -> None:
    application, carrier, _ = begun("audiohook")
    with pytest.raises(InvalidInput):
        list(application.receive(change(json.loads(carrier.ping()))))


def test_audiohook_takes_only_the_callers_channel() -> None:
    carrier = DIALECTS["audiohook"].carrier(SETTINGS)
    start = began("audiohook", MULAW_8K, UUID(int=7), {}, "+1")
    [text] = carrier.send(start)
    assert isinstance(text, str)
    message = json.loads(text)
    message["parameters"]["media"] = message["parameters"]["media"][:1]
    with pytest.raises(InvalidInput, match="media"):
        list(DIALECTS["audiohook"].application(SETTINGS).receive(json.dumps(message)))


def test_audiohook_ends_when_genesys_gives_up_but_not_for_sending_too_fast() -> None:
    application, _, _ = begun("audiohook")
    base = {"version": "2", "id": str(UUID(int=7)), "type": "error", "serverseq": 1}
    slow = {**base, "seq": 2, "parameters": {"code": 429, "message": "slow down"}}
    assert list(application.receive(json.dumps(slow))) == []
    broken_off = {**base, "seq": 3, "parameters": {"code": 408, "message": "late"}}
    assert list(application.receive(json.dumps(broken_off))) == [Stopped("error 408: late")]
