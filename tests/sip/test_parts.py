"""The pieces of a SIP process that know no network: ear, mouth, file, filter, addresses."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sip.ear import GAP_SECONDS, Ear
from sip.file import LOCAL, load
from sip.mouth import LONGEST_SECONDS, Mouth
from sip.phone import address
from sip.sources import MAX_NETWORKS, program, restrict
from voicemesh.errors import Misconfigured, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from voicemesh.audio import Samples

RATE = 8000


def sound(count: int, first: int = 0) -> Samples:
    return np.arange(first, first + count).astype(np.int16)


def _not_the_limit(seconds: float) -> bool:
    return abs(seconds - GAP_SECONDS) > 1e-6


def spoken(mouth: Mouth, until: float) -> Samples:
    """Take what a mouth gives out, asking every 20 ms up to a time."""
    frames = [np.empty(0, np.int16)]
    for tick in range(int(until / 0.02) + 1):
        while (frame := mouth.frame(tick * 0.02)) is not None:
            frames.append(frame)
    return np.concatenate(frames)


@given(st.lists(st.floats(0, 1).filter(_not_the_limit), min_size=1, max_size=30))
def test_an_ear_numbers_every_sample_once_and_follows_the_clock(pauses: list[float]) -> None:
    ear, now, end = Ear(RATE), 0.0, 0
    for pause in pauses:
        now += pause
        offset = ear.place(sound(160), now)
        assert offset >= end
        assert (offset > end) <= (pause > GAP_SECONDS)
        assert ear.next_offset <= now * RATE + 160 * len(pauses)
        end = offset + 160


def test_an_ear_makes_a_hold_a_gap() -> None:
    ear = Ear(RATE)
    assert ear.place(sound(160), 0.0) == 0
    assert ear.place(sound(160), 5.0) == 5 * RATE


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20), st.integers(0, 2000))
def test_a_mouth_says_everything_once_in_order(sizes: list[int], repeated: int) -> None:
    mouth, offset = Mouth(RATE), 0
    for size in sizes:
        again = min(repeated, offset)
        mouth.arrive(offset - again, sound(size + again, offset - again), 0.0)
        offset += size
    assert mouth.waiting == offset
    assert np.array_equal(spoken(mouth, offset / RATE + 1), sound(offset))
    assert (mouth.waiting, mouth.spoken) == (0, offset)


def test_a_mouth_leaves_the_gaps_of_the_bot() -> None:
    mouth = Mouth(RATE)
    mouth.arrive(0, sound(160), 0.0)
    mouth.arrive(RATE, sound(160), 0.0)
    assert spoken(mouth, 0.5).size == 160
    assert mouth.frame(1.0) is not None


def test_what_is_cleared_is_not_said_and_may_come_again() -> None:
    mouth = Mouth(RATE)
    mouth.arrive(0, sound(1600), 0.0)
    mouth.clear(800, 0.0)
    assert mouth.waiting == 800
    mouth.arrive(800, sound(160, 5000), 0.0)
    said = spoken(mouth, 1.0)
    assert np.array_equal(said, np.concatenate((sound(800), sound(160, 5000))))


def test_what_was_dropped_is_not_waited_for() -> None:
    mouth = Mouth(RATE)
    mouth.arrive(0, sound(RATE), 0.0)
    mouth.drop(0.0)
    mouth.arrive(RATE, sound(160), 0.0)
    assert mouth.frame(0.0) is not None


def test_a_mouth_on_hold_is_bounded() -> None:
    mouth = Mouth(RATE)
    for second in range(100):
        mouth.arrive(second * RATE, sound(RATE), float(second))
    assert mouth.waiting <= LONGEST_SECONDS * RATE


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("+4930123", "sip:+4930123@trunk.example:5070"),
        ("anna@example.com", "sip:anna@example.com"),
        ("sips:anna@example.com", "sips:anna@example.com"),
    ],
)
def test_where_a_call_is_handed_to(target: str, expected: str) -> None:
    assert address(target, "sip:+49555@trunk.example:5070;user=phone") == expected


def test_only_listed_addresses_reach_a_socket() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listed,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        door.bind(("127.0.0.1", 0))
        listed.bind(("127.0.0.9", 0))
        other.bind(("127.0.1.9", 0))
        networks = [IPv4Network("10.0.0.0/8"), IPv4Network("127.0.0.8/30")]
        assert restrict({door.getsockname()[1]}, networks) == 1
        other.sendto(b"junk", door.getsockname())
        listed.sendto(b"call", door.getsockname())
        door.settimeout(5)
        assert door.recv(100) == b"call"


def test_the_longest_list_is_a_filter_that_the_kernel_takes() -> None:
    networks = [IPv4Network((number << 8, 24)) for number in range(1, MAX_NETWORKS)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        assert restrict({door.getsockname()[1]}, [*networks, IPv4Network("127.0.0.0/8")]) == 1
        door.sendto(b"call", door.getsockname())
        door.settimeout(5)
        assert door.recv(100) == b"call"
    with pytest.raises(Misconfigured, match="at most 80"):
        program([*networks, *networks])


def test_the_local_file() -> None:
    file = load(LOCAL)
    assert (file.bot("frontdesk"), file.bot("somebody"), file.rate) == ("frontdesk", "", 16000)
    with pytest.raises(NotFound, match="no trunk 'main'"):
        file.trunk("main")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen: {port: 99999}", "listen.port"),
        ("allow: [here]", "allow.0"),
        ("allow: []", "allow"),
        ("codecs: [opus]", "codecs.0"),
        ("colour: red", "colour"),
        ("trunks: [{name: a, domain: b, user: c, password: '${VOICEMESH_UNSET}'}]", "VOICEMESH_UN"),
        ("trunks: [{name: a, domain: 'b c', user: d}]", "trunks.0.domain"),
        ("]", "cannot read"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "sip.yaml"
    path.write_text(text)
    with pytest.raises(Misconfigured, match=problem):
        load(path)


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "secret")
    path = tmp_path / "sip.yaml"
    path.write_text(
        "trunks: [{name: a, domain: b.example, user: c, password: '${TRUNK_PASSWORD}'}]"
    )
    trunk = load(path).trunk("")
    assert trunk.password.get_secret_value() == "secret"
    assert "secret" not in repr(trunk)
