"""Names of what can be taken out of words, and of the countries whose numbers are known."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["email", "iban", "card", "phone", "national_id"]
Country: TypeAlias = Literal[
    "at", "be", "br", "ch", "de", "dk", "es", "fi", "fr",
    "gb", "in", "it", "nl", "no", "pl", "se", "us",
]  # fmt: skip

ALL: tuple[Kind, ...] = ("email", "iban", "card", "phone", "national_id")
USUAL: tuple[Country, ...] = ("us", "gb")
