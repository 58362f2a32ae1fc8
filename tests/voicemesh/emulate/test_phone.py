"""The emulated phone's SIP and RTP: what it says to whatever comes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from voicemesh.audio import decode_mulaw, encode_mulaw
from voicemesh.emulate.dialog import Answered, Asked, Dialog, Over, Refused, Send
from voicemesh.emulate.rtp import FRAME, KEYS, Reader, Sender


def dialog() -> Dialog:
    return Dialog("sip:desk@10.0.0.1:5060", "10.0.0.2:6000", 4000, "phone", "abcdefgh1234")


def answer(request: str, status: str, body: str = "") -> bytes:
    kept = [
        line
        for line in request.split("\r\n")
        if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")
    ]
    lines = [f"SIP/2.0 {status}", *kept, "To: <sip:desk@10.0.0.1:5060>;tag=there"]
    lines += ["Contact: <sip:worker@10.0.0.1:5070>", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


SDP = "v=0\r\nc=IN IP4 10.0.0.9\r\nm=audio 20000 RTP/AVP 0 101\r\n"


def test_a_call_is_answered_and_ended() -> None:
    call = dialog()
    invite = call.invite()
    assert "m=audio 4000 RTP/AVP 0 101" in invite
    assert call.receive(answer(invite, "180 Ringing")) == []
    ack, answered = call.receive(answer(invite, "200 OK", SDP))
    assert answered == Answered("10.0.0.9", 20000)
    assert isinstance(ack, Send)
    # What follows goes where the answer says, with its tag.
    assert ack.message.startswith("ACK sip:worker@10.0.0.1:5070 SIP/2.0\r\n")
    assert "To: <sip:desk@10.0.0.1:5060>;tag=there\r\n" in ack.message
    bye = call.bye()
    assert "CSeq: 2 BYE\r\n" in bye
    assert call.receive(answer(bye, "200 OK")) == [Over()]


def test_a_call_is_refused() -> None:
    call = dialog()
    ack, refused = call.receive(answer(call.invite(), "486 Busy Here"))
    assert isinstance(ack, Send)
    assert refused == Refused(486, "Busy Here")


def request(method: str, extra: str = "") -> bytes:
    return (
        f"{method} sip:phone@10.0.0.2:6000 SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nFrom: a\r\nTo: b\r\n"
        f"Call-ID: c\r\nCSeq: 9 {method}\r\n{extra}Content-Length: 0\r\n\r\n"
    ).encode()


def test_it_can_be_sent_elsewhere_and_left() -> None:
    call = dialog()
    call.receive(answer(call.invite(), "200 OK", SDP))
    accepted, told, asked = call.receive(request("REFER", "Refer-To: <sip:+49@there>\r\n"))
    assert asked == Asked("REFER", "sip:+49@there")
    assert isinstance(accepted, Send)
    assert accepted.message.startswith("SIP/2.0 202 ")
    assert isinstance(told, Send)
    assert told.message.startswith("NOTIFY ")
    assert told.message.endswith("SIP/2.0 200 OK\r\n")
    done, over = call.receive(request("BYE"))
    assert over == Over()
    assert isinstance(done, Send)
    assert "CSeq: 9 BYE\r\n" in done.message


@given(st.binary(max_size=300))
def test_junk_means_nothing(data: bytes) -> None:
    assert dialog().receive(data) == []
    assert Reader().read(data) is None or data[:1] == b"\x80"


@given(st.text(KEYS, max_size=6))
def test_keys_and_sound_come_out_as_they_went_in(keys: str) -> None:
    sender, reader = Sender(7), Reader()
    for key in keys:
        sender.press(key)
    sound = np.full(FRAME, 1000, np.int16)
    heard = []
    for _ in range(12 * (len(keys) + 1)):
        heard += [reader.read(packet) for packet in sender.packets(sound)]
    assert reader.pressed == keys
    found = [one for one in heard if one is not None]
    assert [one.offset for one in found] == [FRAME * n for n in range(12 * (len(keys) + 1))]
    assert all((one.samples == decode_mulaw(encode_mulaw(sound))).all() for one in found)


def test_silence_is_not_heard() -> None:
    sender, reader = Sender(1), Reader()
    packets = [*sender.packets(np.zeros(FRAME, np.int16)), *sender.packets(np.full(FRAME, 99))]
    heard = [reader.read(packet) for packet in packets]
    assert heard[0] is None
    assert heard[1] is not None
    assert heard[1].offset == FRAME
