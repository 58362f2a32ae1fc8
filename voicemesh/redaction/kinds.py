"""What is taken out, and how each kind is told from other numbers: one table."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import phonenumbers
from stdnum import iban, luhn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voicemesh.redaction.names import Country, Kind

Span: TypeAlias = tuple[int, int]

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", re.IGNORECASE)
_CARD = re.compile(r"(?<!\d)\d(?:[ .-]{0,2}\d){12,18}(?!\d)")
_LETTERED = re.compile(r"\b(?=(?:\w[ -]?)*\d)[A-Z0-9]{8,18}\b", re.IGNORECASE)
_FIGURES = re.compile(r"(?<!\d)\d(?:[ .-]{0,2}\d){7,14}(?!\d)")

NATIONAL: dict[Country, str] = {
    "at": "at.vnr",
    "be": "be.nn",
    "br": "br.cpf",
    "ch": "ch.ssn",
    "de": "de.idnr",
    "dk": "dk.cpr",
    "es": "es.dni",
    "fi": "fi.hetu",
    "fr": "fr.nir",
    "gb": "gb.nhs",
    "in": "in_.aadhaar",
    "it": "it.codicefiscale",
    "nl": "nl.bsn",
    "no": "no.fodselsnummer",
    "pl": "pl.pesel",
    "se": "se.personnummer",
    "us": "us.ssn",
}
"""Countries (ISO 3166, small) and the rules of their ids."""


def _emails(text: str, _: Sequence[Country]) -> Iterator[Span]:
    for match in _EMAIL.finditer(text):
        yield match.span()


def _ibans(text: str, _: Sequence[Country]) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        # Words that follow look like more of it.
        for end in range(match.end(), match.start() + 14, -1):
            if iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


def _cards(text: str, _: Sequence[Country]) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if luhn.is_valid(digits) and len(set(digits)) > 1:
            yield match.span()


def _national_ids(text: str, countries: Sequence[Country]) -> Iterator[Span]:
    rules = [import_module(f"stdnum.{NATIONAL[country]}") for country in countries]
    for pattern in (_FIGURES, _LETTERED):
        for match in pattern.finditer(text):
            if any(rule.is_valid(match[0]) for rule in rules):
                yield match.span()


def _phones(text: str, countries: Sequence[Country]) -> Iterator[Span]:
    for country in countries:
        for match in phonenumbers.PhoneNumberMatcher(text, country.upper()):
            yield match.start, match.end


KINDS: dict[Kind, Callable[[str, Sequence[Country]], Iterator[Span]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "phone": _phones,
    "national_id": _national_ids,
}
"""In the order in which they count where two overlap."""
