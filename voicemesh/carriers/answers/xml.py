"""Writes small XML documents; everything is escaped, what XML cannot hold is refused."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

from voicemesh.carriers.answers.document import Document
from voicemesh.errors import InvalidInput

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(tag: str, *inside: Element | str, **attributes: str | None) -> Element:
    """Make an element; an attribute that is None is left out.

    Raises InvalidInput for a control character, which XML has no way to write.
    """
    made = Element(
        tag, {name: _clean(name, text) for name, text in attributes.items() if text is not None}
    )
    for part in inside:
        if isinstance(part, str):
            made.text = _clean(tag, part)
        else:
            made.append(part)
    return made


def response(*inside: Element) -> Document:
    """Return `<Response>` with these elements as a document."""
    body = tostring(element("Response", *inside), encoding="utf-8", xml_declaration=True)
    return Document("application/xml; charset=utf-8", body)


def _clean(field: str, text: str) -> str:
    if _FORBIDDEN.search(text):
        raise InvalidInput(field, "holds a control character")
    return text
