"""Writes text the way it is to be read aloud, where the voice's own reading is wrong.

Hibari reads times, dates, money and plain numbers well by itself; what it misreads is what people
on the telephone spell out: numbers that are names (telephones, codes, accounts), and addresses.
"""

from __future__ import annotations

import re

_LONGEST_AMOUNT = 4
"""Digits that are read as one number; more without separators are a code."""

_PHONE = re.compile(
    r"\+\d[\d ()-]{6,}\d|\(\d{2,5}\) ?\d{2,4}[ -]\d{2,5}|\b(?:1-)?\d{3}[ .-]\d{3}[ .-]\d{4}\b"
)
_CODE = re.compile(rf"(?<![\w.,$£€-])\d{{{_LONGEST_AMOUNT + 1},}}(?![\w%]|[.,]\d)")
_HOURS = re.compile(r"(?<![\d:-])(\d{1,2}(?::\d\d)?)\s?[-\u2013]\s?(\d{1,2}(?::\d\d)?)(?![\d:-])")
_SCHEME = re.compile(r"\bhttps?://", re.IGNORECASE)
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)
_GROUPS = re.compile(r"\d+")


def speakable(text: str) -> str:
    """Return the text with telephone numbers, codes and addresses spelt out."""
    text = _SCHEME.sub("", text)
    text = _WWW.sub("w w w dot ", text)
    text = _PHONE.sub(_phone, text)
    text = _CODE.sub(_code, text)
    return _HOURS.sub(r"\1 to \2", text)


def _phone(match: re.Match[str]) -> str:
    number = match.group()
    groups = ", ".join(_spelt(group) for group in _GROUPS.findall(number))
    return f"plus {groups}" if number.startswith("+") else groups


def _code(match: re.Match[str]) -> str:
    return _spelt(match.group())


def _spelt(digits: str) -> str:
    """Return the digits one by one, in breaths of three or four and no lone one at the end."""
    size = 4 if len(digits) % 4 == 0 else 3
    breaths = []
    while len(digits) > _LONGEST_AMOUNT:
        breaths.append(digits[:size])
        digits = digits[size:]
    return ", ".join(" ".join(breath) for breath in (*breaths, digits))
