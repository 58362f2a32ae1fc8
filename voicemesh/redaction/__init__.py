"""Takes card numbers, bank accounts, national ids, e-mail addresses and phone numbers out of words.

``Redactor().redact("my card is four two four two ...")`` gives ``my card is [card]``: numbers are
found as digits and as they are spoken. What is found must pass its own check (Luhn, mod 97, a
country's rules), so that a booking number is left alone more often than not.
"""

from voicemesh.redaction.names import ALL, USUAL, Country, Kind
from voicemesh.redaction.redactor import Redactor

__all__ = ["ALL", "USUAL", "Country", "Kind", "Redactor"]
