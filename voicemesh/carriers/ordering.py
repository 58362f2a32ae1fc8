"""Puts numbered pieces of audio back into order, for carriers that promise none."""

from __future__ import annotations

from collections.abc import Iterator

WINDOW = 4
"""Pieces that are kept while an earlier one is missing; 80 ms of 20 ms pieces."""
MAX_FILL = 50
"""Most lost pieces that silence stands in for; a longer hole is closed up."""


class Ordering:
    """Returns pieces by rising number, each once.

    A piece that is still missing when more than `WINDOW` later ones have come is lost: silence as
    long as the piece after it stands in, so that the audio keeps its length. The first piece to
    come is the first there is.
    """

    def __init__(self, silence: int) -> None:
        self._silence = bytes([silence])
        self._next: int | None = None
        self._kept: dict[int, bytes] = {}

    def put(self, number: int, piece: bytes) -> Iterator[bytes]:
        """Take a piece; give what is in order now.

        A piece that came already, or comes too late, is dropped.
        """
        if self._next is None:
            self._next = number
        if number < self._next:
            return
        self._kept[number] = piece
        yield from self._in_order()
        if len(self._kept) > WINDOW:
            yield from self._over_the_hole()

    def flush(self) -> Iterator[bytes]:
        """Give what is kept; nothing more comes."""
        while self._kept:
            yield from self._over_the_hole()

    def _in_order(self) -> Iterator[bytes]:
        while self._next is not None and self._next in self._kept:
            yield self._kept.pop(self._next)
            self._next += 1

    def _over_the_hole(self) -> Iterator[bytes]:
        first = min(self._kept)
        lost = first - (first if self._next is None else self._next)
        for _ in range(min(lost, MAX_FILL)):
            yield self._silence * len(self._kept[first])
        self._next = first
        yield from self._in_order()
