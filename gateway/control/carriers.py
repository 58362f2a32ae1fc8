"""The carriers that place our calls: the carriers file, and a dialler for each entry.

::

    carriers:
      - name: main                       # what CreateCall names; the first is the default
        carrier: telnyx                  # a row of voicemesh.carriers.rest.table
        key: ${TELNYX_API_KEY}           # id, key and secret may come from the environment
        application: "1494404757140276705"
        caller: "+4930123456"            # shown where CreateCall says nothing
        stream_url: wss://voice.example.com/carriers/telnyx
        answer_url: https://voice.example.com/answer
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from voicemesh.bots import document
from voicemesh.carriers.rest.control import Account, NewCall
from voicemesh.carriers.rest.table import CONTROLS
from voicemesh.errors import Misconfigured, NotFound, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gateway.control.dialling import Dialler, Order
    from voicemesh.bots.document import Place
    from voicemesh.carriers.rest.control import CallControl

LEAST_RING_SECONDS = 5
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Entry(BaseModel):
    """One account with a carrier."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-z0-9_-]{1,64}$")
    """What `CreateCall.carrier` names."""
    carrier: str
    """Whose API it is."""
    id: str = Field(default="", max_length=256)
    """Name of the account; ``${NAME}`` is taken from the environment."""
    key: str = Field(default="", max_length=4096)
    """What identifies the program; as ``id``."""
    secret: str = Field(default="", max_length=16384)
    """What proves it; as ``id``."""
    application: str = Field(default="", max_length=256)
    """The carrier's name of our application."""
    base_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Another address of the API than the carrier's own."""
    caller: str = Field(default="", max_length=128)
    """Number that is shown where a request names none, in quotes."""
    stream_url: str = Field(default="", pattern=r"^(wss?://\S+)?$")
    """Our media socket, as the carrier reaches it."""
    answer_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where the carrier asks what to do with an answered call; gets the ticket as its query."""


class CarriersFile(BaseModel):
    """A whole carriers file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    carriers: tuple[Entry, ...] = Field(max_length=100)
    """Accounts; the first is used where none is named."""


class CarrierDialler:
    """Places calls by a carrier's API."""

    def __init__(self, entry: Entry, control: CallControl) -> None:
        self._entry = entry
        self._control = control

    async def dial(self, order: Order) -> str:
        entry = self._entry
        asked = f"{'&' if '?' in entry.answer_url else '?'}{urlencode(order.parameters)}"
        call = NewCall(
            caller=order.caller or entry.caller,
            callee=order.callee,
            answer_url=f"{entry.answer_url}{asked}" if entry.answer_url else "",
            stream_url=entry.stream_url,
            ring_seconds=max(LEAST_RING_SECONDS, math.ceil(order.ring_seconds)),
            parameters=order.parameters,
        )
        return await self._control.dial(call, order.key)

    async def cancel(self, name: str, call_id: str) -> None:
        try:
            await self._control.hang_up(name, call_id)
        except (NotFound, OutOfOrder):
            return  # over already

    async def aclose(self) -> None:
        await self._control.aclose()


def load(file: Path, environ: Mapping[str, str] = os.environ) -> dict[str, Dialler]:
    """Read a carriers file; raise Misconfigured with every problem, or the account's."""
    hint = "a carriers file is a mapping with the key `carriers`"
    found = document.read(file, CarriersFile, {}, _broken, hint)
    if isinstance(found, list):
        raise Misconfigured("\n".join(map(str, found)), reason="BAD_CARRIERS", file=file)
    return {entry.name: _dialler(file, entry, environ) for entry in found.carriers}


def _dialler(file: Path, entry: Entry, environ: Mapping[str, str]) -> Dialler:
    def value(text: str) -> str:
        def found(match: re.Match[str]) -> str:
            if match[1] not in environ:
                raise Misconfigured(f"{file}: {entry.name}: the environment has no {match[1]}")
            return environ[match[1]]

        return _VARIABLE.sub(found, text)

    account = Account(
        id=value(entry.id),
        key=SecretStr(value(entry.key)),
        secret=SecretStr(value(entry.secret)),
        application=value(entry.application),
        base_url=entry.base_url,
    )
    return CarrierDialler(entry, CONTROLS[entry.carrier](account))


def _broken(found: CarriersFile) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for index, entry in enumerate(found.carriers):
        place: Place = ("carriers", index)
        if entry.name in seen:
            yield (*place, "name"), f"another carrier is named {entry.name!r}"
        seen.add(entry.name)
        if entry.carrier not in CONTROLS:
            yield (*place, "carrier"), f"is none of {', '.join(sorted(CONTROLS))}"
        if not (entry.stream_url or entry.answer_url):
            yield place, "needs a stream_url or an answer_url, by which an answered call comes back"
