"""A carrier that asks by webhook what to do with a call, and opens the socket it is told of."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import httpx
from twilio.request_validator import RequestValidator

from tests.support.mesh import http_client, running_mesh
from voicemesh.carriers.table import DIALECTS
from voicemesh.emulate import CarrierCall, Order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from mesh.local import LocalMesh

HOST = "voice.example.com"
"""How carriers know the edge; only their signatures see it."""
TOKEN = "shared-by-all"  # noqa: S105 - the test's own
TWILIO_TOKEN = "twilio-secret"  # noqa: S105 - the test's own
CALLER, CALLEE, RARE = "+491511234567", "+4930123456", "+4930999999"
NUMBERS = f"""
numbers:
  - number: "{CALLEE}"
    bot: echo
    variables: {{branch: berlin}}
  - number: "{RARE}"
    bot: echo
    calls_per_gateway: 1
"""


@dataclass(frozen=True)
class Told:
    """What an answer document says of the socket."""

    path: str
    """With its query."""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """A mesh that answers carriers."""

    mesh: LocalMesh
    http: httpx.AsyncClient
    folder: Path

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.folder.glob("records/*.json")]

    async def twilio(
        self, path: str = "/carriers/twilio/answer", **changed: str
    ) -> tuple[httpx.Response, Mapping[str, str]]:
        """Post what Twilio does; return the answer and the headers that it carried."""
        form = {"CallSid": "CA1", "AccountSid": "AC1", "From": CALLER, "To": CALLEE, **changed}
        headers = signed(f"https://{HOST}{path}", form)
        return await self.http.post(path, data=form, headers=headers), headers

    def open(self, carrier: str, told: Told, order: Order | None = None) -> Any:  # noqa: ANN401
        """Open the socket as told."""
        headers = signed(f"wss://{HOST}{told.path}") if carrier == "twilio" else {}
        made = order or Order(
            socket=told.path, parameters=told.parameters, headers=headers, caller=CALLER
        )
        return CarrierCall.place(DIALECTS[carrier], self.mesh.edge_address, made)


@asynccontextmanager
async def site(folder: Path, carriers: str = "") -> AsyncIterator[Site]:
    numbers, accounts = folder / "numbers.yaml", folder / "carriers.yaml"
    numbers.write_text(NUMBERS)
    accounts.write_text(carriers)
    environment = {
        "VOICEMESH_PUBLIC_URL": f"wss://{HOST}",
        "VOICEMESH_CARRIER_TOKEN": TOKEN,
        "VOICEMESH_TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
        "VOICEMESH_NUMBERS": str(numbers),
        "VOICEMESH_CARRIERS": str(accounts) if carriers else "",
        "VOICEMESH_RECORDS": str(folder / "records"),
    }
    async with (
        running_mesh(environment=environment) as mesh,
        http_client(mesh) as http,
    ):
        yield Site(mesh, http, folder)


def signed(url: str, form: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the signature as Twilio's own package makes it."""
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(url, dict(form or {}))
    return {"X-Twilio-Signature": signature}


def asking(carrier: str) -> tuple[str, dict[str, Any]]:
    """Return method and arguments of a carrier's request about a call that comes in."""
    bare = {"from": CALLER[1:], "to": CALLEE[1:]}
    form = {"From": CALLER, "To": CALLEE, "AccountSid": "AC1", "CallSid": "one"}
    match carrier:
        case "telnyx":
            return "POST", {"data": form}
        case "plivo":
            told = {"CallUUID": "one", "From": bare["from"], "To": bare["to"]}
            return "POST", {"data": {**told, "CallStatus": "ringing"}}
        case "exotel":
            query = {"CallSid": "one", "CallFrom": CALLER, "CallTo": CALLEE}
            return "GET", {"params": query}
        case "vonage":
            return "POST", {"json": {"uuid": "one", **bare}}
        case "jambonz":
            return "POST", {"json": {"call_sid": "one", "from": CALLER, "to": CALLEE}}
    flow = {"call_id": "one", "account_id": "two", "from_number": CALLER, "to_number": CALLEE}
    return "POST", {"json": {**flow, "direction": "inbound"}}


def socket_in(carrier: str, body: bytes) -> Told:
    """Read the socket out of an answer document, as the carrier would."""
    if body.startswith(b"<"):
        [stream] = ET.fromstring(body).iter("Stream")  # noqa: S314 - our own document
        names = {each.attrib["name"]: each.attrib["value"] for each in stream}
        return Told(_path(stream.get("url") or (stream.text or "").strip()), names)
    said = json.loads(body)
    match carrier:
        case "vonage":
            [endpoint] = said[0]["endpoint"]
            told = dict(endpoint["headers"])
            # These the emulated carrier says by itself, of every call.
            own = [told.pop(name) for name in ("call_id", "from", "to")]
            assert own == ["one", CALLER[1:], CALLEE[1:]]
            return Told(_path(endpoint["uri"]), told)
        case "jambonz":
            [listen] = [verb for verb in said if verb["verb"] == "listen"]
            [parameters] = listen["metadata"].values()
            return Told(_path(listen["url"]), parameters)
    return Told(_path(said.get("ws_url") or said["url"]))


def with_token(path: str) -> str:
    return f"{path}?{urlencode({'token': TOKEN})}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("wss", HOST)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
