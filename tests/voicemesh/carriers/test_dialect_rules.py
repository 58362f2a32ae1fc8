"""Both ends of Teler, Plivo, Telnyx and Exotel against each other, and against nonsense."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, strategies as st

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.dialect import (
    ALAW_8K,
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    Application,
    Began,
    Clear,
    Command,
    DialectSettings,
    Emptied,
    Event,
    HangUp,
    Mark,
    Play,
    Press,
    Pressed,
    Reached,
    Sounded,
    Stopped,
)
from voicemesh.carriers.ordering import MAX_FILL, WINDOW, Ordering
from voicemesh.carriers.table import DIALECTS
from voicemesh.errors import InvalidInput, OutOfOrder

NAMES = ("teler", "plivo", "telnyx", "exotel")
LINEAR_24K = AudioFormat(Encoding.LINEAR16, 24000)
FORMATS = {
    "teler": [LINEAR_8K, LINEAR_16K],
    "plivo": [MULAW_8K, LINEAR_8K, LINEAR_16K],
    "telnyx": [MULAW_8K, ALAW_8K, LINEAR_8K, LINEAR_16K],
    "exotel": [LINEAR_8K, LINEAR_16K, LINEAR_24K, MULAW_8K],
}
PLAYED = {"teler": LINEAR_8K, "telnyx": MULAW_8K}

ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=64)
plain = st.text("abcXYZ019 _-é", min_size=1, max_size=20).map(str.strip).filter(bool)
keys = st.sampled_from("0123456789*#ABCD")


@st.composite
def begun(draw: st.DrawFn, name: str) -> Began:
    sent = draw(st.sampled_from(FORMATS[name]))
    tells_numbers = name in {"telnyx", "exotel"}
    number = st.just("") | st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
    parameters = st.dictionaries(plain, plain, max_size=4)
    return Began(
        call_id=draw(ids),
        stream_id=draw(ids),
        account_id=draw(st.just("") | ids),
        caller=draw(number) if tells_numbers else "",
        callee=draw(number) if tells_numbers else "",
        parameters={} if name == "teler" else draw(parameters),
        sent=sent,
        played=PLAYED.get(name, sent),
    )


def sounds(name: str, fmt: AudioFormat) -> st.SearchStrategy[bytes]:
    unit = 320 if name == "exotel" else fmt.bytes_per_sample
    return st.binary(min_size=1, max_size=40).map(lambda sound: sound * unit)


def told(name: str, began: Began) -> st.SearchStrategy[Event]:
    heard: list[st.SearchStrategy[Event]] = [st.builds(Sounded, sounds(name, began.sent))]
    if name != "teler":
        heard += [st.builds(Pressed, keys), st.builds(Reached, ids)]
    if name == "plivo":
        heard.append(st.just(Emptied()))
    return st.one_of(heard)


def asked(name: str, began: Began) -> st.SearchStrategy[Command]:
    wanted: list[st.SearchStrategy[Command]] = [
        st.builds(Play, sounds(name, began.played)),
        st.just(Clear()),
    ]
    if name != "teler":
        wanted.append(st.builds(Mark, ids.filter(lambda mark: len(mark) <= 40)))
    if name == "plivo":
        wanted.append(st.builds(Press, st.text("0123456789*#ABCD", min_size=1, max_size=10)))
    return st.one_of(wanted)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_what_one_end_writes_the_other_reads(name: str, data: st.DataObject) -> None:
    began = data.draw(begun(name))
    application = DIALECTS[name].application(DialectSettings())
    carrier = DIALECTS[name].carrier(DialectSettings())
    events: list[Event] = [began, *data.draw(st.lists(told(name, began), max_size=8))]
    for event in events:
        assert [e for f in carrier.send(event) for e in application.receive(f)] == [event]
    for command in data.draw(st.lists(asked(name, began), max_size=8)):
        assert [c for f in application.send(command) for c in carrier.receive(f)] == [command]
    last = [e for f in carrier.send(Stopped()) for e in application.receive(f)]
    assert last == ([Stopped()] if name in {"telnyx", "exotel"} else [])
    assert not [*application.send(HangUp())]


@pytest.mark.parametrize("shape", ["flat", "nested", "both"])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_teler_takes_every_shape_and_rate_that_may_be_set(shape: str, rate: int) -> None:
    settings = DialectSettings(teler_audio_shape=shape, teler_playback_rate=rate)
    application, carrier = (
        DIALECTS["teler"].application(settings),
        DIALECTS["teler"].carrier(settings),
    )
    began = Began("c", "s", sent=LINEAR_16K, played=AudioFormat(Encoding.LINEAR16, rate))
    assert [e for f in carrier.send(began) for e in application.receive(f)] == [began]
    (frame,) = application.send(Play(b"\1\2"))
    assert isinstance(frame, str)
    assert [*carrier.receive(frame)] == [Play(b"\1\2")]
    written = json.loads(frame)
    assert ("audio_b64" in written) == (shape != "nested")
    assert ("data" in written) == (shape != "flat")
    (again,) = application.send(Play(b"\1\2"))
    assert '"chunk_id":2' in str(again)


def started(name: str) -> Application:
    """Return our end of a call that has begun."""
    sent = FORMATS[name][0]
    began = Began("call", "stream", sent=sent, played=PLAYED.get(name, sent))
    application = DIALECTS[name].application(DialectSettings())
    for frame in DIALECTS[name].carrier(DialectSettings()).send(began):
        list(application.receive(frame))
    return application


def transcript(name: str) -> list[dict[str, Any]]:
    """Return what a carrier writes in a call in which all happens."""
    sent = FORMATS[name][0]
    carrier = DIALECTS[name].carrier(DialectSettings())
    events: list[Event] = [
        Began("call", "stream", "account", sent=sent, played=PLAYED.get(name, sent)),
        Sounded(bytes(320)),
        Pressed("1"),
        Reached("mark"),
        Emptied(),
        Stopped(),
    ]
    return [json.loads(frame) for event in events for frame in carrier.send(event)]


@pytest.mark.parametrize("name", NAMES)
def test_media_before_the_start_and_a_second_start_are_out_of_order(name: str) -> None:
    for message in transcript(name):
        kind = message.get("event", message.get("type"))
        if kind == "connected":
            continue
        fresh, running = DIALECTS[name].application(DialectSettings()), started(name)
        with pytest.raises(OutOfOrder):
            list((running if kind == "start" else fresh).receive(json.dumps(message)))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_can_be_sent_before_the_start(name: str) -> None:
    application = DIALECTS[name].application(DialectSettings())
    for command in (Play(bytes(320)), Clear()):
        with pytest.raises(OutOfOrder):
            list(application.send(command))
    carrier = DIALECTS[name].carrier(DialectSettings())
    with pytest.raises(OutOfOrder):
        list(carrier.send(Sounded(bytes(320))))


@pytest.mark.parametrize("name", NAMES)
def test_another_streams_messages_are_refused(name: str) -> None:
    field = {"teler": "stream_id", "plivo": "streamId", "telnyx": "stream_id"}.get(
        name, "stream_sid"
    )
    for message in transcript(name):
        if message.get("event", message.get("type")) in {"connected", "start"}:
            continue
        with pytest.raises(OutOfOrder) as refused:
            list(started(name).receive(json.dumps(message | {field: "another"})))
        assert refused.value.reason == "UNKNOWN_STREAM"


@pytest.mark.parametrize("name", NAMES)
def test_unknown_messages_and_fields_are_passed_over(name: str) -> None:
    application = DIALECTS[name].application(DialectSettings())
    kind = "type" if name == "teler" else "event"
    assert not [*application.receive(json.dumps({kind: "surprise", "x": [1]}))]
    for message in transcript(name):
        list(application.receive(json.dumps(message | {"surprise": {"x": None}})))
    assert not [*started(name).receive(json.dumps({kind: "surprise", "x": [1]}))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "null", '"start"', "{}", '{"event":1}', '{"type":[]}', "[" * 60_000, b"\0"],
)
def test_what_is_no_message_is_refused(name: str, frame: str | bytes) -> None:
    for end in (DIALECTS[name].application(DialectSettings()), started(name)):
        with pytest.raises(InvalidInput):
            list(end.receive(frame))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_wrong_types_anywhere_are_refused_or_passed_over(name: str, data: st.DataObject) -> None:
    messages = transcript(name)
    message = data.draw(st.sampled_from(messages))
    place: dict[str, Any] = message
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(junk)
    application = DIALECTS[name].application(DialectSettings())
    try:
        for each in messages:
            list(application.receive(json.dumps(each)))
    except InvalidInput as refused:
        assert refused.details["field"]  # noqa: PT017


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_torn_message_is_refused(name: str, data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from(transcript(name))))
    torn = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(InvalidInput):
        list(started(name).receive(torn))


@pytest.mark.parametrize("name", ["twilio", *NAMES])
def test_half_a_surrogate_pair_is_refused(name: str) -> None:
    kind = "type" if name == "teler" else "event"
    for spelled in (r"\ud800", r"\uDFFF"):
        frame = f'{{"{kind}":"surprise","x":{{"y":["{spelled}"]}}}}'
        with pytest.raises(InvalidInput, match="Unicode"):
            list(DIALECTS[name].application(DialectSettings()).receive(frame))
    whole = r'{"event":"surprise","type":"surprise","x":"\ud83d\ude00"}'
    assert not [*DIALECTS[name].application(DialectSettings()).receive(whole)]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_no_nonsense_from_an_application_breaks_the_carriers_end(
    name: str, data: st.DataObject
) -> None:
    sent = FORMATS[name][0]
    began = Began("call", "stream", sent=sent, played=PLAYED.get(name, sent))
    application = DIALECTS[name].application(DialectSettings())
    carrier = DIALECTS[name].carrier(DialectSettings())
    for frame in carrier.send(began):
        list(application.receive(frame))
    commands = (Play(bytes(320)), Mark("m"), Clear(), Press("1"))
    frames = [json.loads(f) for command in commands for f in application.send(command)]
    message = data.draw(st.sampled_from(frames))
    place: dict[str, Any] = message
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(junk)
    try:
        list(carrier.receive(json.dumps(message)))
    except InvalidInput as refused:
        assert refused.details["field"]  # noqa: PT017


@pytest.mark.parametrize("name", NAMES)
def test_audio_that_is_not_base64_or_not_whole_samples_is_refused(name: str) -> None:
    media = next(m for m in transcript(name) if m.get("event", m.get("type")) in {"media", "audio"})
    inner, field = ("data", "audio_b64") if name == "teler" else ("media", "payload")
    for wrong in ("***", "AAA", 5, None):
        with pytest.raises(InvalidInput) as refused:
            list(started(name).receive(json.dumps(media | {inner: media[inner] | {field: wrong}})))
        assert refused.value.details["field"] == f"{inner}.{field}"
    torn = media | {inner: media[inner] | {field: b64encode(b"123").decode()}}
    if FORMATS[name][0] is LINEAR_8K:
        with pytest.raises(InvalidInput, match="whole number"):
            list(started(name).receive(json.dumps(torn)))


@pytest.mark.parametrize("name", NAMES)
def test_formats_that_we_cannot_read_are_refused(name: str) -> None:
    start = next(m for m in transcript(name) if m.get("event", m.get("type")) == "start")
    key = {"teler": "data", "plivo": "mediaFormat"}.get(name, "media_format")
    rate = "sampleRate" if name == "plivo" else "sample_rate"
    for change in ({"encoding": "OPUS"}, {rate: 11025}, {rate: "a lot"}, {"encoding": None}):
        if name == "exotel" and change == {"encoding": None}:
            continue  # Exotel does not always tell
        broken = json.loads(json.dumps(start))
        broken.get("start", broken)[key] |= change
        with pytest.raises(InvalidInput):
            list(DIALECTS[name].application(DialectSettings()).receive(json.dumps(broken)))


def test_telnyx_media_is_put_back_into_order() -> None:
    order = [1, 3, 2, 4, 4, 7, 6, 5, 8]
    application = started("telnyx")
    heard = [e for n in order for e in application.receive(media(n))]
    assert heard == [Sounded(bytes([n]) * 160) for n in range(1, 9)]


def media(number: int) -> str:
    payload = b64encode(bytes([number]) * 160).decode()
    told = {"track": "inbound", "chunk": str(number), "timestamp": "0", "payload": payload}
    return json.dumps({"event": "media", "stream_id": "stream", "media": told})


def test_what_telnyx_lost_is_silence_and_what_is_held_comes_at_the_stop() -> None:
    application = started("telnyx")
    lost = [1, *range(3, 3 + WINDOW + 1)]
    heard = [e for n in lost for e in application.receive(media(n))]
    assert heard[1] == Sounded(b"\xff" * 160)
    assert [*application.receive(media(2))] == []  # too late
    assert [*application.receive(media(lost[-1] + 2))] == []
    stop = json.dumps({"event": "stop", "stream_id": "stream"})
    last = Sounded(bytes([lost[-1] + 2]) * 160)
    assert [*application.receive(stop)] == [Sounded(b"\xff" * 160), last, Stopped()]


def test_telnyx_tells_what_an_api_call_passed_on_and_complains_aloud() -> None:
    state = b64encode(json.dumps({"bot": "clinic"}).encode()).decode()
    start = next(m for m in transcript("telnyx") if m["event"] == "start")
    start["start"] |= {"client_state": state, "custom_parameters": {"a": "b"}}
    (began,) = DIALECTS["telnyx"].application(DialectSettings()).receive(json.dumps(start))
    assert isinstance(began, Began)
    assert began.parameters == {"bot": "clinic", "a": "b"}
    for foreign in (b'{"n": 1}', b"[]", b"\xff", b'"\\ud800"', b'{"a": "\\ud800"}'):
        start["start"]["client_state"] = b64encode(foreign).decode()
        (began,) = DIALECTS["telnyx"].application(DialectSettings()).receive(json.dumps(start))
        assert isinstance(began, Began)
        assert began.parameters == {"a": "b"}
    error = {"event": "error", "payload": {"code": 100003, "title": "malformed_frame"}}
    with pytest.raises(InvalidInput, match="malformed_frame"):
        list(started("telnyx").receive(json.dumps(error)))


@given(st.permutations(range(12)), st.sets(st.integers(0, 11), max_size=4))
def test_pieces_come_in_order_once_and_as_long_as_they_were(
    order: list[int], twice: set[int]
) -> None:
    ordering = Ordering(0)
    out: list[bytes] = []
    for number in order:
        for _ in range(1 + (number in twice)):
            out += ordering.put(number, bytes([number + 1]))
    out += ordering.flush()
    heard = [piece[0] for piece in out]
    assert len(heard) == 12 - order[0]  # what lies before the first to come is lost
    assert all(n in {0, at + order[0] + 1} for at, n in enumerate(heard))


def test_a_wild_number_does_not_make_silence_without_end() -> None:
    ordering = Ordering(0)
    out = [p for n in (1, *range(10**15, 10**15 + WINDOW + 1)) for p in ordering.put(n, b"x")]
    assert out.count(b"\0") == MAX_FILL


def test_exotel_complains_of_sizes_that_it_cannot_play() -> None:
    carrier = DIALECTS["exotel"].carrier(DialectSettings())
    list(carrier.send(Began("c", "stream", sent=LINEAR_8K, played=LINEAR_8K)))
    for size in (0, 160, 321):
        sound = {"payload": b64encode(bytes(size)).decode()}
        frame = json.dumps({"event": "media", "stream_sid": "stream", "media": sound})
        with pytest.raises(InvalidInput, match="320"):
            list(carrier.receive(frame))
    unit = DIALECTS["exotel"].capabilities.frame_ms
    assert all(fmt.rate * 2 * unit // 1000 % 320 == 0 for fmt in FORMATS["exotel"][:3])


def test_plivo_complains_of_another_format_than_the_streams() -> None:
    carrier = DIALECTS["plivo"].carrier(DialectSettings())
    list(carrier.send(Began("c", "stream")))
    for change in ({"contentType": "audio/x-l16"}, {"sampleRate": 16000}, {"sampleRate": "8000"}):
        sound = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": "AAAA"} | change
        frame = json.dumps({"event": "playAudio", "media": sound})
        with pytest.raises(InvalidInput):
            list(carrier.receive(frame))
