"""Secrets that strangers keep for us: sealed, so that they can neither read nor change them.

AES-256-GCM. Each context (a call and whose it is) has a key of its own, derived from one of the
ring's, so that random nonces stay far from repeating however many calls there are. A seal is::

    version 1 byte | name of the key 4 bytes | nonce 12 bytes | ciphertext and tag

The ring's first key seals, all of them open: a key is replaced by putting a new one before it, and
the old one is dropped when nothing that it sealed can be valid any more.
"""

from __future__ import annotations

import base64
import binascii
import os
from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voicemesh.errors import Denied, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY_BYTES = 32
OVERHEAD_BYTES = 1 + 4 + 12 + 16
"""How much longer a seal is than what is in it."""
_VERSION = b"\x01"
_NAME_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _NAME_BYTES + _NONCE_BYTES
_PURPOSE = b"voicemesh-resume"


class Sealer:
    """Seals and opens what belongs to one context."""

    def __init__(self, name: bytes, keys: Mapping[bytes, AESGCM]) -> None:
        self._name = name
        self._keys = keys

    def seal(self, content: bytes, place: int) -> bytes:
        """Return the content sealed; it opens at the same place only."""
        nonce = os.urandom(_NONCE_BYTES)
        bound = _bound(self._name, place)
        return _VERSION + self._name + nonce + self._keys[self._name].encrypt(nonce, content, bound)

    def open(self, sealed: bytes, place: int) -> bytes:
        """Return the content; raise Denied, which says no more, for whatever is wrong."""
        name, nonce = sealed[1 : 1 + _NAME_BYTES], sealed[1 + _NAME_BYTES : _HEAD_BYTES]
        key = self._keys.get(name)
        if key is None or sealed[:1] != _VERSION or len(sealed) < OVERHEAD_BYTES:
            raise refusal()
        try:
            return key.decrypt(nonce, sealed[_HEAD_BYTES:], _bound(name, place))
        except InvalidTag:
            raise refusal() from None


class Keyring:
    """The keys of a gateway, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise Misconfigured(f"resume keys: at least one, of {KEY_BYTES} bytes each")
        self._keys = {sha256(_PURPOSE + key).digest()[:_NAME_BYTES]: key for key in keys}

    @classmethod
    def random(cls) -> Keyring:
        """Return a ring whose key nobody else has."""
        return cls([os.urandom(KEY_BYTES)])

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Read keys from `KEY,KEY,...` in base64, or from the file named by `@FILE`."""
        return cls([_decoded(word) for word in _read(text).replace(",", " ").split()])

    def sealer(self, *context: str) -> Sealer:
        """Return what seals for a context: the same words, in the same order, open it."""
        words = [word.encode() for word in context]
        bound = b"".join(len(word).to_bytes(4, "big") + word for word in words)
        keys = {
            name: AESGCM(blake2b(bound, digest_size=KEY_BYTES, key=key, person=_PURPOSE).digest())
            for name, key in self._keys.items()
        }
        return Sealer(next(iter(keys)), keys)


def refusal() -> Denied:
    """Return the one answer to whatever is wrong with something sealed."""
    return Denied("this call cannot be resumed with what was sent", reason="NOT_RESUMABLE")


def _bound(name: bytes, place: int) -> bytes:
    return _VERSION + name + place.to_bytes(8, "big")


def _read(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text()
    except OSError as error:
        raise Misconfigured(f"resume keys: {text[1:]}: {error.strerror}") from error


def _decoded(word: str) -> bytes:
    try:
        return base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        raise Misconfigured("resume keys: not base64") from None
