"""Sentences spoken lately, for all calls: greetings, questions and apologies come again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.audio import Samples

Key: TypeAlias = tuple[str, int, str]
"""Voice, rate, text."""

MAX_SENTENCES = 64
MAX_BYTES = 16 << 20


class SentenceCache:
    """Keeps the sentences used last, within a number and a size."""

    def __init__(self, max_sentences: int = MAX_SENTENCES, max_bytes: int = MAX_BYTES) -> None:
        self.size_bytes = 0
        """What is held now."""
        self._max_sentences = max_sentences
        self._max_bytes = max_bytes
        self._sentences: OrderedDict[Key, Sequence[Samples]] = OrderedDict()

    def get(self, key: Key) -> Sequence[Samples] | None:
        """Return the pieces of a sentence, if it is held; they are shared, do not change them."""
        if key in self._sentences:
            self._sentences.move_to_end(key)
        return self._sentences.get(key)

    def put(self, key: Key, pieces: Sequence[Samples]) -> None:
        """Hold a sentence, and forget those that were not used for longest."""
        self._drop(key)
        self._sentences[key] = pieces
        self.size_bytes += _size(pieces)
        while len(self._sentences) > self._max_sentences or self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._sentences)))

    def _drop(self, key: Key) -> None:
        self.size_bytes -= _size(self._sentences.pop(key, ()))


def _size(pieces: Sequence[Samples]) -> int:
    return sum(piece.nbytes for piece in pieces)
