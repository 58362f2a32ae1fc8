"""Reads the JSON that carriers send: what is malformed is named, what is unknown passed over."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any, TypeAlias

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.carriers.dialect import Frame

Fields: TypeAlias = "Mapping[str, Any]"

MAX_NAME = 128
"""Characters that a call's, a stream's or an account's name may have."""
MAX_PARAMETERS = 32
MAX_PARAMETER = 256
"""Characters of one parameter's name, and of its value."""
_MAX_DIGITS = 18


def read_message(frame: Frame) -> Fields:
    """Return the JSON object in a text frame; raise InvalidInput if it is anything else."""
    if not isinstance(frame, str):
        raise InvalidInput("frame", "must be text, not binary", reason="NOT_TEXT")
    try:
        told = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("frame", "is not JSON", reason="NOT_JSON") from error
    if not isinstance(told, dict):
        raise InvalidInput("frame", "is not a JSON object", reason="NOT_JSON")
    if "\\ud" in frame or "\\uD" in frame:
        _check_unicode(told)
    return told


def read_object(fields: Fields, name: str, place: str = "") -> Fields:
    """Return the object in a field; raise InvalidInput if there is none."""
    value = fields.get(name)
    if not isinstance(value, dict):
        raise InvalidInput(_at(place, name), "must be an object")
    return value


def read_text(fields: Fields, name: str, place: str = "", *, most: int = MAX_NAME) -> str:
    """Return the text in a field: not empty, at most so many characters."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(_at(place, name), "must be a text that is not empty")
    if len(value) > most:
        raise InvalidInput(
            _at(place, name), f"has {len(value)} characters; at most {most} are allowed", limit=most
        )
    return value


def read_optional_text(fields: Fields, name: str, place: str = "", *, most: int = MAX_NAME) -> str:
    """Return the text in a field, empty if the field is missing, null or empty."""
    return read_text(fields, name, place, most=most) if fields.get(name) else ""


def read_count(fields: Fields, name: str, place: str = "") -> int:
    """Return the whole number, not negative, in a field."""
    value = fields.get(name)
    if type(value) is not int or value < 0:  # True is an int too
        raise InvalidInput(_at(place, name), "must be a whole number that is not negative")
    return value


def read_count_text(fields: Fields, name: str, place: str = "") -> int:
    """Return the whole number, not negative, that a field writes as text."""
    value = fields.get(name)
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise InvalidInput(_at(place, name), "must be a whole number, written as text")
    if len(value) > _MAX_DIGITS:
        raise InvalidInput(_at(place, name), f"has more than {_MAX_DIGITS} digits")
    return int(value)


def read_base64(fields: Fields, name: str, place: str = "") -> bytes:
    """Return the bytes that a field writes in base64."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidInput(_at(place, name), "must be base64, as text")
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(_at(place, name), f"is not base64: {error}") from error


def read_parameters(fields: Fields, name: str, place: str = "") -> dict[str, str]:
    """Return the texts by name in a field; none if it is missing or null."""
    if fields.get(name) is None:
        return {}
    told = read_object(fields, name, place)
    where = _at(place, name)
    if len(told) > MAX_PARAMETERS:
        raise InvalidInput(where, f"are {len(told)}; at most {MAX_PARAMETERS} are allowed")
    for key, value in told.items():
        if not isinstance(value, str):
            raise InvalidInput(_at(where, key[:MAX_NAME]), "must be a text")
        if max(len(key), len(value)) > MAX_PARAMETER:
            raise InvalidInput(
                where, f"has more than {MAX_PARAMETER} characters in one", limit=MAX_PARAMETER
            )
    return dict(told)


def _check_unicode(told: object) -> None:
    # JSON can spell half of a surrogate pair; nothing behind us could write such a text.
    try:
        json.dumps(told, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput("frame", "holds text that is not Unicode", reason="NOT_JSON") from error


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
