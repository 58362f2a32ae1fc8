"""RTP as a phone sends and reads it: G.711 and keys (RFC 3550, 3551, 4733). No I/O."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicemesh.audio import decode_mulaw, encode_mulaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicemesh.audio import Samples

RATE, FRAME = 8000, 160
MULAW, EVENT = 0, 101
"""Payload types that our offer names."""
KEYS = "0123456789*#ABCD"
_HEADER = struct.Struct(">BBHII")
_VERSION = 0x80
_MARKER = 0x80
_KEY_FRAMES, _GAP_FRAMES, _END_COPIES = 5, 3, 3
_VOLUME = 10
_SILENCE = 64
"""Nothing louder than this: what a stack sends while nobody speaks."""


@dataclass(frozen=True, slots=True)
class _Key:
    code: int
    began: int
    """Timestamp of its first packet, which all its packets have."""
    frames: int


class Sender:
    """Makes one stream's packets, 20 ms at a time."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._number = 0
        self._timestamp = 0
        self._keys: deque[str] = deque()
        self._pressed: _Key | None = None
        self._rest = 0

    def press(self, key: str) -> None:
        """Queue a key; it is sent over the frames that follow."""
        self._keys.append(key)

    def packets(self, samples: Samples) -> Iterator[bytes]:
        """Return the packets of the next 20 ms: sound, and what is due of a key."""
        yield self._packet(MULAW, self._timestamp, encode_mulaw(samples))
        yield from self._key()
        self._timestamp += FRAME

    def _key(self) -> Iterator[bytes]:
        if self._pressed is None:
            if self._rest or not self._keys:
                self._rest = max(self._rest - 1, 0)
                return
            self._pressed = _Key(KEYS.index(self._keys.popleft()), self._timestamp, 0)
        key = self._pressed
        key = self._pressed = _Key(key.code, key.began, key.frames + 1)
        last = key.frames >= _KEY_FRAMES
        said = struct.pack(">BBH", key.code, _VOLUME | (0x80 if last else 0), key.frames * FRAME)
        for _ in range(_END_COPIES if last else 1):
            yield self._packet(EVENT, key.began, said, first=key.frames == 1)
        if last:
            self._pressed, self._rest = None, _GAP_FRAMES

    def _packet(self, kind: int, timestamp: int, payload: bytes, *, first: bool = False) -> bytes:
        number, self._number = self._number, (self._number + 1) & 0xFFFF
        marked = kind | (_MARKER if first else 0)
        return (
            _HEADER.pack(_VERSION, marked, number, timestamp & 0xFFFFFFFF, self._source) + payload
        )


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Sound that came."""

    offset: int
    """Samples since the first packet."""
    samples: Samples


class Reader:
    """Reads one stream: sound that is no silence, and keys."""

    def __init__(self) -> None:
        self.pressed = ""
        """Keys that the other side sent."""
        self._began: int | None = None
        self._key: int | None = None

    def read(self, packet: bytes) -> Heard | None:
        """Return the sound in a packet; None for silence, keys, and what is no RTP of ours."""
        if len(packet) < _HEADER.size or packet[0] != _VERSION:
            return None
        _, kind, _, timestamp, _ = _HEADER.unpack_from(packet)
        payload = packet[_HEADER.size :]
        if self._began is None:
            self._began = timestamp
        if kind & 0x7F == EVENT and len(payload) >= 4:
            self._note_key(payload[0], timestamp)
        if kind & 0x7F != MULAW:
            return None
        samples = decode_mulaw(payload)
        if not samples.size or int(np.abs(samples.astype(np.int32)).max()) <= _SILENCE:
            return None
        return Heard((timestamp - self._began) & 0xFFFFFFFF, samples)

    def _note_key(self, code: int, timestamp: int) -> None:
        if timestamp != self._key and code < len(KEYS):
            self._key = timestamp
            self.pressed += KEYS[code]
