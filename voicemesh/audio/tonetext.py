"""Speech that machines can read: a voice whose words come back exactly from its samples.

The scripted engines speak with it and understand it, so that a test can compare words instead of
sounds after any way through codecs, resampling and packets. It has two layers. A synthetic vowel
that changes like syllables do makes voice activity detection take it for speech. Above it, 28 dB
softer, every byte of the text is a 20 ms block of two tones, one for each half of the byte::

    vowel 100 ms | preamble 40 ms | 20 ms per UTF-8 byte | end 20 ms | checksum 20 ms | vowel 60 ms

What cannot be read comes back as U+FFFD, so damage never passes for other words. A text whose end
was cut off is read as far as it goes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voicemesh.audio.format import Samples
from voicemesh.audio.resample import Resampler

Signal = NDArray[np.float64]

RATE = 8000
"""The codec works at this rate; others are resampled to and from it."""
DAMAGED = "\ufffd"
"""Stands for what cannot be read."""

_BLOCK = RATE // 50
_TONES = 1850.0 + 50.0 * np.arange(32)
"""Hertz: 16 for the low half of a byte, then 16 for the high half. 50 Hz is what 20 ms can tell
apart; the highest is 3400 Hz, which telephones still carry."""
_PREAMBLE = ((0, 15), (16, 31))
"""Both tones from one half, which no byte has."""
_END, _END_SYMBOL = (7, 8), -1
_VOWEL_TOP = 1700.0
"""Hertz: the vowel leaves the rest to the tones."""
_VOWEL_LEVEL, _TONE_LEVEL = 0.3, 0.012
_LEAD, _TAIL = 5 * _BLOCK, 3 * _BLOCK
_LIKENESS = 0.75
"""How much of a stretch must be the preamble to be taken for it, 0 to 1."""
_FAINTEST = 0.25
"""Softest tone that is read, as a share of the preamble's."""
_GIVE_UP = 3
"""Unreadable blocks in a row after which a text is taken to have been cut off."""


@lru_cache(maxsize=256)
def encode(text: str, rate: int = RATE) -> Samples:
    """Return the text as sound; do not change the array, it is shared."""
    data = text.encode()
    pairs = [*_PREAMBLE, *map(_pair, data), _END, _pair(_checksum(data))]
    tones = np.concatenate([_block(pair) for pair in pairs])
    sound = np.pad(tones, (_LEAD, _TAIL))
    sound += np.resize(_vowel(), sound.size)
    return _resample((sound * 32767).astype(np.int16), RATE, rate)


def decode(samples: Samples, rate: int = RATE) -> str | None:
    """Return the words in the sound, those of several texts joined by a space; None if none are."""
    found = texts(samples, rate)
    return " ".join(found) if found else None


def texts(samples: Samples, rate: int = RATE) -> list[str]:
    """Return each text in the sound, in order."""
    if samples.size < 2 * _BLOCK * rate // RATE:
        return []
    sound = _above_vowel(_resample(samples, rate, RATE).astype(np.float64))
    found, position = [], 0
    for start, level in _preambles(sound):
        if start >= position:
            text, position = _read(sound, start + 2 * _BLOCK, level)
            found.append(text)
    return found


def duration(text: str) -> float:
    """Return how long the text takes to say, seconds."""
    blocks = len(_PREAMBLE) + len(text.encode()) + 2
    return (_LEAD + blocks * _BLOCK + _TAIL) / RATE


def _pair(byte: int) -> tuple[int, int]:
    return byte & 15, 16 + (byte >> 4)


def _checksum(data: bytes) -> int:
    value = 1
    for byte in data:
        value = (value * 31 + byte) % 251
    return value


@lru_cache(maxsize=512)
def _block(pair: tuple[int, int]) -> Signal:
    time = np.arange(_BLOCK) / RATE
    low, high = (np.sin(2 * np.pi * _TONES[tone] * time) for tone in pair)
    return np.asarray(_TONE_LEVEL * (low + high))


@lru_cache(maxsize=1)
def _vowel() -> Signal:
    """Ten seconds that repeat without a seam: every frequency is a multiple of 0.1 Hz."""
    time = np.arange(10 * RATE) / RATE

    def swing(hertz: float) -> Signal:
        return np.asarray(np.sin(2 * np.pi * hertz * time))

    pitch = 130 + 25 * swing(2.1) + 10 * swing(0.7)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = (500 + 200 * swing(3.3), 90.0, 1.0), (1000 + 300 * swing(2.7), 120.0, 0.5)
    sound = np.zeros_like(time)
    for harmonic in range(1, 18):
        hertz = harmonic * pitch
        level = sum(peak / (1 + ((hertz - at) / width) ** 2) for at, width, peak in formants)
        sound += np.where(hertz > _VOWEL_TOP, 0, level) * np.sin(harmonic * phase)
    sound *= 0.55 + 0.45 * swing(4.5)
    return np.asarray(_VOWEL_LEVEL * sound / np.abs(sound).max())


def _resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    if from_rate == to_rate:
        return samples
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate((resampler.feed(samples), resampler.flush()))


def _above_vowel(sound: Signal) -> Signal:
    size = _fast_size(sound.size)
    spectrum = np.fft.rfft(sound, size)
    spectrum[: int((_TONES[0] - 100) * size / RATE)] = 0
    return np.asarray(np.fft.irfft(spectrum, size)[: sound.size])


def _fast_size(size: int) -> int:
    """Return the next power of two or three quarters of one."""
    power = 1 << max(2, (size - 1).bit_length())
    return power * 3 // 4 if size <= power * 3 // 4 else power


@lru_cache(maxsize=1)
def _preamble_shape() -> NDArray[np.complex128]:
    time = np.arange(_BLOCK) / RATE
    shape = np.concatenate(
        [np.exp(2j * np.pi * _TONES[list(pair), None] * time).sum(axis=0) for pair in _PREAMBLE]
    )
    return np.asarray(shape / np.linalg.norm(shape))


def _preambles(sound: Signal) -> list[tuple[int, float]]:
    """Return where preambles start, and the strength of a tone there."""
    shape = _preamble_shape()
    size = _fast_size(sound.size + shape.size)
    spectrum = np.fft.fft(sound, size) * np.conj(np.fft.fft(shape, size))
    likeness = np.abs(np.fft.ifft(spectrum)[: max(0, sound.size - shape.size + 1)])
    energy = np.concatenate(([0.0], np.cumsum(sound * sound)))
    # A real tone shares its energy with its mirror image, hence the 2.
    loudness = np.sqrt(np.maximum(energy[shape.size :] - energy[: -shape.size], 1.0) / 2)
    ratio = likeness / loudness
    found, position = [], 0
    for at in np.flatnonzero(ratio > _LIKENESS):
        if at >= position:
            best = int(at) + int(ratio[at : at + _BLOCK].argmax())
            found.append((best, float(likeness[best]) * np.sqrt(_BLOCK) / 2))
            position = best + shape.size
    return found


@lru_cache(maxsize=1)
def _listeners() -> NDArray[np.complex128]:
    time = np.arange(_BLOCK) / RATE
    return np.asarray(np.exp(-2j * np.pi * time[:, None] * _TONES))


def _read(sound: Signal, start: int, level: float) -> tuple[str, int]:
    """Return the text whose first block is at `start`, and where it ends."""
    count = (sound.size - start) // _BLOCK
    blocks = sound[start : start + count * _BLOCK].reshape(count, _BLOCK)
    symbols = [_hear(tones, level) for tones in np.abs(blocks @ _listeners())]
    data: list[int | None] = []
    for number, symbol in enumerate(symbols):
        if symbol == _END_SYMBOL:
            return _checked(data, symbols[number + 1 :]), start + (number + 2) * _BLOCK
        data.append(symbol)
        if data[-_GIVE_UP:] == [None] * _GIVE_UP:
            return _text(data[:-_GIVE_UP]), start + (number + 1) * _BLOCK
    return _text(data), start + count * _BLOCK


def _hear(tones: Signal, level: float) -> int | None:
    """Return the byte or end that the two loudest tones mean; None if they are not clear."""
    third, second, first = np.argsort(tones)[-3:]
    if tones[second] <= max(_FAINTEST * level, 2 * tones[third]):
        return None
    return _symbol(int(first), int(second))


def _symbol(first: int, second: int) -> int | None:
    low, high = sorted((first, second))
    if (low, high) == _END:
        return _END_SYMBOL
    return low | (high - 16) << 4 if low < 16 <= high else None


def _checked(data: list[int | None], behind: list[int | None]) -> str:
    """Return a text that came to its end; the block behind that is its checksum."""
    text = _text(data)
    whole = [byte for byte in data if byte is not None]
    if len(whole) == len(data) and behind[:1] == [_checksum(bytes(whole))]:
        return text
    return text if DAMAGED in text else text + DAMAGED


def _text(data: list[int | None]) -> str:
    """Return the text; 0xFF is never part of UTF-8 and decodes to U+FFFD."""
    return bytes(0xFF if byte is None else byte for byte in data).decode(errors="replace")
