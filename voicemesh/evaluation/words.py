"""Brings what was said and what was understood to one spelling, so that only hearing is judged.

OpenAI's English normaliser does most of it (spelling, contractions, numbers in words). It keeps
"4 7 2" apart from "472", "half past 7" from "7:30", and takes an address that was spelled out for
other words than one that was written; here those are one. Both sides go through the same rules.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

_ADDRESS = re.compile(r"\S+@\S+\w")
_CLOCK = re.compile(r"(?<![$£€\d.])(\d{1,2})[:.](\d{2})(?!\d|\.\d)")
_OCLOCK = re.compile(r"\s+o['\u2019]?\s?clock\b", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"(?<![\d.,])0\d+")
_PAST = re.compile(r"\b(half|quarter|\d{1,2})(?: minutes?)? (past|to) (\d{1,2}|one)\b")
_ONE = re.compile(r"(?<=\d )one\b|\bone(?= \d)")
_ZERO = re.compile(r"(?<=\d )(?:oh|o)\b|\b(?:oh|o)(?= \d)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d) +(?=\d)")
_FRACTIONS = {"half": 30, "quarter": 15}


class Normaliser:
    """Callable: text in, its normal spelling out."""

    def __init__(self) -> None:
        try:
            module = import_module("whisper_normalizer.english")
        except ModuleNotFoundError as error:
            raise Misconfigured(
                "scoring words needs whisper-normalizer: run `pip install 'voicemesh[report]'`",
                package="whisper-normalizer",
            ) from error
        self._english: Callable[[str], str] = module.EnglishTextNormalizer()

    def __call__(self, text: str) -> str:
        """Return the words in lower case, without punctuation, numbers and times in one form."""
        spelled = _ADDRESS.sub(_spell_address, _OCLOCK.sub("", text))
        spelled = _CLOCK.sub(r"\1 \2", spelled).replace("-", " ")
        # Otherwise "0198" becomes "198", which is not what was said.
        spelled = _LEADING_ZERO.sub(lambda found: " ".join(found[0]), spelled)
        words = _PAST.sub(_tell_time, self._english(spelled))
        words = _ONE.sub("1", _ZERO.sub("0", words))
        return _BETWEEN_DIGITS.sub("", words)


def _spell_address(found: re.Match[str]) -> str:
    return found[0].replace("@", " at ").replace(".", " dot ")


def _tell_time(found: re.Match[str]) -> str:
    """Write "half past 7" as "7 30" and "quarter to 8" as "7 45"."""
    minutes = _FRACTIONS.get(found[1]) or int(found[1])
    hour = 1 if found[3] == "one" else int(found[3])
    if found[2] == "past":
        return f"{hour} {minutes:02}"
    return f"{(hour - 2) % 12 + 1} {60 - minutes:02}"
