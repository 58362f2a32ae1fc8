"""Cuts a stream of words into pieces that can be spoken."""

from __future__ import annotations

import re

MAX_CHARACTERS = 400
"""Longer pieces are cut at the last space; a voice refuses more than 2000."""

# An ending, closing quotes or brackets, then a space: "3.5" and "p.m.," are not cut.
_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s)|\n")
_SPEAKABLE = re.compile(r"\w")
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|no|vs|e\.g|i\.e|approx|a\.m|p\.m)\.$", re.I)


class SentenceCutter:
    """Feed words, take sentences."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """Add words; return the sentences that are complete now."""
        self._rest += text
        return self._cut()

    def finish(self) -> list[str]:
        """Return what is left as a last sentence, if anything is."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if _SPEAKABLE.search(rest) else []

    def _cut(self) -> list[str]:
        pieces = []
        while (end := self._next_end()) is not None:
            piece, self._rest = self._rest[:end].strip(), self._rest[end:]
            # A voice makes no sound of "..." or "*", and silence counts as its failure.
            if _SPEAKABLE.search(piece):
                pieces.append(piece)
        return pieces

    def _next_end(self) -> int | None:
        for match in _END.finditer(self._rest):
            if not _abbreviated(self._rest, match):
                return match.end()
        if len(self._rest) > MAX_CHARACTERS:
            space = self._rest.rfind(" ", 1, MAX_CHARACTERS)
            return space if space > 0 else MAX_CHARACTERS
        return None


def _abbreviated(text: str, match: re.Match[str]) -> bool:
    if match.group() != "." or not _ABBREVIATION.search(text[: match.end()]):
        return False
    # "at 3 p.m. The doctor …" ends a sentence, "at 3 p.m. on Friday" does not.
    following = text[match.end() :].lstrip()
    ends_with_time = text[: match.end()].lower().endswith(".m.")
    return not (ends_with_time and following[:1].isupper())
