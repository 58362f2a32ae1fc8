"""What carriers' webhooks tell of a call, whatever each calls it. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicemesh.carriers.auth.request import Request

MAX_FIELDS = 128
MAX_ADDRESS = 128
"""Characters of a number, address or name."""
OVER = "over"
"""The call was answered and has ended."""
_BARE = re.compile(r"[1-9][0-9]{7,14}")


@dataclass(frozen=True, slots=True)
class _Words:
    """How a carrier names things, the likeliest first."""

    call_id: Sequence[str]
    caller: Sequence[str]
    callee: Sequence[str]
    account: Sequence[str]
    status: Sequence[str]
    bare: bool = False
    """Whether its numbers lack the plus that they mean."""


@dataclass(frozen=True, slots=True)
class Told:
    """A call, as a webhook has it."""

    call_id: str
    """The carrier's name of it."""
    caller: str = ""
    callee: str = ""
    account: str = ""
    status: str = ""
    """What became of it: `busy`, `no_answer`, `rejected`, `cancelled`, `failed`, `OVER`; empty for
    whatever is not its end."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """All that came, by the carrier's names."""


_TWILIO = _Words(
    ("CallSid", "call_control_id"),
    ("From", "from"),
    ("To", "to"),
    ("AccountSid", "connection_id"),
    ("CallStatus", "hangup_cause"),
)
_NAMES: Mapping[str, _Words] = {
    "twilio": _TWILIO,
    "telnyx": _TWILIO,
    "teler": _Words(
        ("call_id", "id"),
        ("from_number", "from"),
        ("to_number", "to"),
        ("account_id",),
        ("status", "event"),
    ),
    "plivo": _Words(
        ("CallUUID",), ("From",), ("To",), ("ParentAuthID",), ("CallStatus",), bare=True
    ),
    "exotel": _Words(
        ("CallSid",), ("CallFrom", "From"), ("CallTo", "To"), ("AccountSid",), ("Status",)
    ),
    "vonage": _Words(("uuid",), ("from",), ("to",), ("api_key",), ("status",), bare=True),
    "jambonz": _Words(("call_sid",), ("from",), ("to",), ("account_sid",), ("call_status",)),
}
_ENDS: Mapping[str, str] = {
    "busy": "busy",
    "user_busy": "busy",
    "no-answer": "no_answer",
    "no_answer": "no_answer",
    "unanswered": "no_answer",
    "timeout": "no_answer",
    "no_user_response": "no_answer",
    "rejected": "rejected",
    "call_rejected": "rejected",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "cancel": "cancelled",
    "originator_cancel": "cancelled",
    "failed": "failed",
    "unallocated_number": "failed",
    "call.failed": "failed",
    "completed": OVER,
    "call.completed": OVER,
    "normal_clearing": OVER,
}
"""What the carriers call the ends of calls; none means two things."""


def query_of(url: str) -> dict[str, str]:
    """Return an address's query, each name's first value; raise InvalidInput for too much."""
    return _pairs(urlsplit(url).query, "query")


def read(carrier: str, request: Request) -> Told:
    """Return what a webhook tells; raise InvalidInput where it is not the carrier's."""
    fields = {**query_of(request.url), **_body(request)}
    names = _NAMES[carrier]
    call_id = _first(fields, names.call_id)
    if not call_id:
        raise InvalidInput(names.call_id[0], "is missing")
    told = {what: _first(fields, getattr(names, what)) for what in ("caller", "callee", "account")}
    if names.bare:
        told |= {what: _with_plus(told[what]) for what in ("caller", "callee")}
    status = _ENDS.get(_first(fields, names.status).lower(), "")
    return Told(call_id, **told, status=status, fields=fields)


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str:
    for name in names:
        value = fields.get(name, "")
        if value:
            if len(value) > MAX_ADDRESS:
                raise InvalidInput(name, f"has more than {MAX_ADDRESS} characters")
            return value
    return ""


def _with_plus(number: str) -> str:
    return f"+{number}" if _BARE.fullmatch(number) else number


def _body(request: Request) -> dict[str, str]:
    if not request.body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = request.body.decode()
        if kind.endswith("json"):
            return _flat(json.loads(text))
    except (ValueError, RecursionError):
        raise InvalidInput("body", "cannot be read") from None
    return _pairs(text, "body")


def _flat(said: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return the texts of an object; what lies in `data` and `payload` counts as its own."""
    if not isinstance(said, dict):
        raise InvalidInput("body", "must be a JSON object")
    found: dict[str, str] = {}
    while True:
        found |= {name: value for name, value in said.items() if isinstance(value, str)}
        inner = [said.get(name) for name in ("data", "payload")]
        said = next((each for each in inner if isinstance(each, dict)), None)
        if said is None:
            return found


def _pairs(text: str, what: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidInput(what, f"has more than {MAX_FIELDS} fields") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
