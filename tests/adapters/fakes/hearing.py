"""What a fake recogniser makes of sound: the words of a text, as their share of the sound comes."""

from __future__ import annotations


class Ears:
    """Hears a text in so many bytes of sound."""

    def __init__(self, text: str, size: int) -> None:
        self._words = text.split()
        self._size = max(1, size)
        self.heard = 0
        """Bytes that came."""
        self._told = 0

    def feed(self, sound: bytes) -> bool:
        """Take sound; tell whether there are new words."""
        before = self.words
        self.heard += len(sound)
        return self.words != before

    @property
    def words(self) -> str:
        """The words that were not taken yet."""
        count = min(len(self._words), len(self._words) * self.heard // self._size)
        return " ".join(self._words[self._told : count])

    def take(self) -> str:
        """Return the words that were not taken yet, and take them."""
        words = self.words
        self._told += len(words.split())
        return words
