"""Words as a reader of numbers sees them: digits for spoken digits, each with its place."""

from __future__ import annotations

import re

_SPOKEN_DIGITS = (
    ("zero", "oh", "null"),
    ("one", "eins"),
    ("two", "zwei", "zwo"),
    ("three", "drei"),
    ("four", "vier"),
    ("five", "fünf"),
    ("six", "sechs"),
    ("seven", "sieben"),
    ("eight", "acht"),
    ("nine", "neun"),
)
DIGITS = {word: str(digit) for digit, words in enumerate(_SPOKEN_DIGITS) for word in words}
REPEATED = {"double": 2, "triple": 3, "doppel": 2}
"""Said before a digit."""
SIGNS = {"at": "@", "dot": ".", "punkt": ".", "underscore": "_"}
"""What parts of an address are joined with; blanks around them go."""
_WORD = re.compile(r"\w+|\W+")
_BETWEEN = re.compile(r"[\s,.-]*")


class Written:
    """A text in which numbers and addresses stand in figures, whichever way they were spoken."""

    def __init__(self, spoken: str) -> None:
        self.text = ""
        self._places: list[tuple[int, int]] = []
        """Of each character: where it begins and ends in what was spoken."""
        self._times = 1
        self._begins: int | None = None
        """Where the word was that says how often a digit is meant."""
        self._joins = False
        """Whether blanks that follow go: what came last was a spoken digit or sign."""
        self._blanks = 0
        """How many of the last characters are between two that may belong together."""
        for match in _WORD.finditer(spoken):
            self._take(match[0], match.start())

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the text lies in what was spoken."""
        return self._places[start][0], self._places[end - 1][1]

    def _take(self, part: str, at: int) -> None:
        word = part.lower()
        if digit := DIGITS.get(word):
            start = at if self._begins is None else self._begins
            self._join(digit * self._times, start, at + len(part))
        elif sign := SIGNS.get(word):
            self._joins = True
            self._join(sign, at, at + len(part))
        elif word in REPEATED:
            self._times, self._begins = REPEATED[word], at
            return
        elif _BETWEEN.fullmatch(part):
            self._copy(part, at)
            self._blanks += len(part)
            return
        else:
            self._forget_blanks(joined=self._joins and self.text[-1 - self._blanks :][:1] in "@._")
            self._copy(part, at)
            self._joins = False
        self._times, self._begins = 1, None
        self._blanks = 0

    def _join(self, text: str, start: int, end: int) -> None:
        """Append what belongs to what was spoken before it."""
        self._forget_blanks(joined=self._joins)
        self.text += text
        self._places += [(start, end)] * len(text)
        self._joins = True

    def _forget_blanks(self, *, joined: bool) -> None:
        if joined and self._blanks:
            self.text = self.text[: -self._blanks]
            del self._places[-self._blanks :]

    def _copy(self, text: str, at: int) -> None:
        self.text += text
        self._places += [(at + offset, at + offset + 1) for offset in range(len(text))]
