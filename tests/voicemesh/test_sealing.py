from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from voicemesh.errors import Denied, Misconfigured
from voicemesh.sealing import KEY_BYTES, OVERHEAD_BYTES, Keyring

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = bytes(KEY_BYTES), bytes([1]) * KEY_BYTES
RING = Keyring([OLD])
SEALER = RING.sealer("call", "caller")


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@given(st.binary(max_size=300), st.integers(0, 2**40))
def test_what_is_sealed_opens_at_its_place(content: bytes, place: int) -> None:
    sealed = SEALER.seal(content, place)
    assert len(sealed) == len(content) + OVERHEAD_BYTES
    assert SEALER.open(sealed, place) == content
    with pytest.raises(Denied):
        SEALER.open(sealed, place + 1)


def test_no_seal_is_made_twice() -> None:
    assert SEALER.seal(b"same", 0) != SEALER.seal(b"same", 0)


@given(st.binary(max_size=60), st.data())
def test_a_changed_or_cut_seal_does_not_open(content: bytes, data: st.DataObject) -> None:
    sealed = SEALER.seal(content, 0)
    at = data.draw(st.integers(0, len(sealed) - 1))
    flipped = data.draw(st.integers(1, 255))
    changed = sealed[:at] + bytes([sealed[at] ^ flipped]) + sealed[at + 1 :]
    refusals = set()
    for wrong in (changed, sealed[:at], sealed + b"\0"):
        with pytest.raises(Denied) as caught:
            SEALER.open(wrong, 0)
        refusals.add((caught.value.message, caught.value.reason, str(caught.value.details)))
    assert len(refusals) == 1


@given(st.binary(max_size=100))
def test_nothing_that_was_not_sealed_opens(noise: bytes) -> None:
    with pytest.raises(Denied):
        SEALER.open(noise, 0)


@pytest.mark.parametrize("other", [("call", "other"), ("callc", "aller"), ("call",), ()])
def test_another_context_does_not_open_it(other: tuple[str, ...]) -> None:
    with pytest.raises(Denied):
        RING.sealer(*other).open(SEALER.seal(b"x", 0), 0)


def test_keys_are_replaced_without_losing_what_the_old_one_sealed() -> None:
    sealed = SEALER.seal(b"before", 0)
    both = Keyring.parse(f"{text(NEW)},{text(OLD)}").sealer("call", "caller")
    assert both.open(sealed, 0) == b"before"
    fresh = Keyring([NEW]).sealer("call", "caller")
    assert fresh.open(both.seal(b"after", 1), 1) == b"after"
    with pytest.raises(Denied):
        fresh.open(sealed, 0)


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{text(NEW)}\n{text(OLD)}\n")
    sealer = Keyring.parse(f"@{path}").sealer("call", "caller")
    assert sealer.open(SEALER.seal(b"x", 0), 0) == b"x"


@pytest.mark.parametrize("wrong", ["", ",", "AAAA", "not base64!", "@/nowhere"])
def test_wrong_keys_are_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Keyring.parse(wrong)
    assert "AAAA" not in caught.value.message
