"""The carriers that place our calls: the carriers file, and a dialler for each entry.

::

    carriers:
      - name: main                       # what CreateCall names; the first is the default
        carrier: telnyx                  # a row of voicemesh.carriers.rest.table
        key: ${TELNYX_API_KEY}           # id, key and secret may come from the environment
        application: "1494404757140276705"
        caller: "+4930123456"            # shown where CreateCall says nothing
        webhook_secret: ${TELNYX_PUBLIC_KEY}   # what its webhooks are signed with, if they are

      - name: trunk
        carrier: sip                     # a trunk of the SIP file, by the mesh's SIP processes
        application: provider            # the trunk's name there; default: the first
        caller: "+4930123456"

Carriers come back to `VOICEMESH_PUBLIC_URL`, or to an entry's own `stream_url` and `answer_url`.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.answering.addresses import Addresses
from gateway.answering.checks import CHECKS
from gateway.control.trunks import TrunkDialler
from voicemesh.bots import document
from voicemesh.carriers.answers.document import with_query
from voicemesh.carriers.rest.control import Account, NewCall
from voicemesh.carriers.rest.table import CONTROLS
from voicemesh.errors import Misconfigured, NotFound, OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gateway.control.dialling import Order
    from voicemesh.bots.document import Place
    from voicemesh.carriers.rest.control import CallControl
    from voicemesh.tls import Trust

SIP = "sip"
"""What stands for a carrier where calls are placed by SIP."""
LEAST_RING_SECONDS = 5
_SIGN_BY_SECRET = ("twilio", "plivo")
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
    webhook_secret: str = Field(default="", max_length=4096)
    """What its webhooks are signed with, as ``id``; empty: Twilio's and Plivo's by ``secret``."""


class CarriersFile(BaseModel):
    """A whole carriers file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    carriers: tuple[Entry, ...] = Field(max_length=100)
    """Accounts; the first is used where none is named."""


class CarrierDialler:
    """Places calls by a carrier's API."""

    def __init__(
        self, entry: Entry, control: CallControl, signing: SecretStr, addresses: Addresses
    ) -> None:
        self.carrier = entry.carrier
        self.control = control
        self.signing = signing
        """What the carrier's webhooks are signed with; empty: nothing."""
        self._entry = entry
        self._addresses = addresses

    async def dial(self, order: Order) -> str:
        entry, ticket, ours = self._entry, order.parameters, self._addresses
        call = NewCall(
            caller=order.caller or entry.caller,
            callee=order.callee,
            answer_url=with_query(entry.answer_url, ticket)
            if entry.answer_url
            else ours.answer(self.carrier, ticket),
            stream_url=entry.stream_url or ours.stream(self.carrier),
            status_url=ours.status(self.carrier, order.call_id, ticket) if ours else "",
            ring_seconds=max(LEAST_RING_SECONDS, math.ceil(order.ring_seconds)),
            parameters=order.parameters,
        )
        return await self.control.dial(call, order.key)

    async def cancel(self, name: str, call_id: str) -> None:
        try:
            await self.control.hang_up(name, call_id)
        except (NotFound, OutOfOrder):
            return  # over already

    async def aclose(self) -> None:
        await self.control.aclose()


def load(
    file: Path,
    environ: Mapping[str, str] = os.environ,
    addresses: Addresses | None = None,
    mesh: str = "",
    trust: Trust | None = None,
) -> dict[str, CarrierDialler | TrunkDialler]:
    """Read a carriers file; raise Misconfigured with every problem, or the account's.

    ``addresses`` is where carriers come back to, unless their entries say so; by ``mesh`` SIP
    processes are reached, with ``trust`` as what is shown there.
    """
    ours = addresses or Addresses("")
    hint = "a carriers file is a mapping with the key `carriers`"
    found = document.read(file, CarriersFile, {}, _broken, hint)
    if isinstance(found, list):
        raise Misconfigured("\n".join(map(str, found)), reason="BAD_CARRIERS", file=file)
    for entry in found.carriers:
        if entry.carrier != SIP and not (ours or (entry.stream_url and entry.answer_url)):
            raise Misconfigured(
                f"{file}: {entry.name}: set VOICEMESH_PUBLIC_URL, or stream_url and answer_url: "
                "an answered call must come back"
            )
    return {
        entry.name: TrunkDialler(entry.application, entry.caller, mesh, trust)
        if entry.carrier == SIP
        else _dialler(file, entry, environ, ours)
        for entry in found.carriers
    }


def _dialler(
    file: Path, entry: Entry, environ: Mapping[str, str], addresses: Addresses
) -> CarrierDialler:
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
    signing = SecretStr(value(entry.webhook_secret))
    if not signing.get_secret_value() and entry.carrier in _SIGN_BY_SECRET:
        signing = account.secret
    return CarrierDialler(entry, CONTROLS[entry.carrier](account), signing, addresses)


def _broken(found: CarriersFile) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for index, entry in enumerate(found.carriers):
        place: Place = ("carriers", index)
        if entry.name in seen:
            yield (*place, "name"), f"another carrier is named {entry.name!r}"
        seen.add(entry.name)
        if entry.carrier not in (*CONTROLS, SIP):
            yield (*place, "carrier"), f"is none of {', '.join(sorted((*CONTROLS, SIP)))}"
        if entry.webhook_secret and entry.carrier not in CHECKS:
            yield (*place, "webhook_secret"), f"{entry.carrier} signs no webhooks"
