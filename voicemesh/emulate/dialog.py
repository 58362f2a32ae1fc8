"""A phone's side of one SIP dialog over UDP (RFC 3261), as far as a call needs it. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from voicemesh.emulate.rtp import EVENT, MULAW

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS = re.compile(r"SIP/2\.0 (\d{3}) ?([^\r\n]*)")
_REQUEST = re.compile(r"([A-Z]+) \S+ SIP/2\.0\r?\n")
_MEDIA = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_HOST = re.compile(r"^c=IN IP4 (\S+)", re.MULTILINE)
_URI = re.compile(r"<([^>]+)>")
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


@dataclass(frozen=True, slots=True)
class Send:
    """Send this."""

    message: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The call stands; sound goes there."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side did not take the call."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The other side wants something besides the end: ``REFER``, ``INFO``, ..."""

    method: str
    target: str
    """Whom a REFER names."""


@dataclass(frozen=True, slots=True)
class Over:
    """The call has ended, or our BYE was answered."""


Outcome: TypeAlias = Send | Answered | Refused | Asked | Over


@dataclass(slots=True)
class Dialog:
    """One call that we place."""

    to: str
    """SIP address that is called."""
    own: str
    """HOST:PORT of our socket."""
    media_port: int
    caller: str
    call_id: str
    _sequence: int = 0
    _to: str = field(init=False)
    _there: str = field(init=False)

    def __post_init__(self) -> None:
        self._to, self._there = f"<{self.to}>", self.to

    def invite(self) -> str:
        """Return the request that begins the call."""
        self._sequence += 1
        return self._request("INVITE", self._sdp())

    def bye(self) -> str:
        """Return the request that ends it."""
        self._sequence += 1
        return self._request("BYE")

    def receive(self, data: bytes) -> list[Outcome]:
        """Take what came; return what is to be done and what it means."""
        text = data.decode(errors="replace")
        if status := _STATUS.match(text):
            return self._answered(int(status[1]), status[2], text)
        request = _REQUEST.match(text)
        return self._asked(request[1], text) if request else []

    def _answered(self, status: int, reason: str, text: str) -> list[Outcome]:
        method = _header(text, "CSeq").rpartition(" ")[2]
        if status < 200:
            return []
        if method == "BYE":
            return [Over()]
        if method != "INVITE":
            return []
        self._to = _header(text, "To")
        if status >= 300:
            return [Send(self._request("ACK")), Refused(status, reason)]
        contact = _URI.search(_header(text, "Contact"))
        self._there = contact[1] if contact else self._there
        host, port = _HOST.search(text), _MEDIA.search(text)
        if not (host and port):
            return [Send(self._request("ACK")), Refused(status, "an answer without sound")]
        return [Send(self._request("ACK")), Answered(host[1], int(port[1]))]

    def _asked(self, method: str, text: str) -> list[Outcome]:
        if method == "ACK":
            return []
        body = self._sdp() if method == "INVITE" else ""
        lines = [f"{name}: {_header(text, name)}" for name in _COPIED]
        if body:
            lines += [f"Contact: <sip:{self.own}>", "Content-Type: application/sdp"]
        lines.append(f"Content-Length: {len(body)}")
        status = "202 Accepted" if method == "REFER" else "200 OK"
        sent = Send(f"SIP/2.0 {status}\r\n" + "\r\n".join(lines) + "\r\n\r\n" + body)
        if method == "BYE":
            return [sent, Over()]
        if method != "REFER":
            return [sent, Asked(method, "")]
        named = _header(text, "Refer-To")
        target = _URI.search(named)
        return [sent, Send(self._notify()), Asked(method, target[1] if target else named)]

    def _notify(self) -> str:
        """Tell who sent us elsewhere that somebody answered there (RFC 3515)."""
        self._sequence += 1
        extra = (
            "Event: refer",
            "Subscription-State: terminated;reason=noresource",
            "Content-Type: message/sipfrag;version=2.0",
        )
        return self._request("NOTIFY", "SIP/2.0 200 OK\r\n", extra)

    def _request(self, method: str, body: str = "", extra: Sequence[str] = ()) -> str:
        branch = f"z9hG4bK{self.call_id}{method}{self._sequence}"
        lines = (
            f"{method} {self._there} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.own};branch={branch};rport",
            f"From: <sip:{self.caller}@{self.own}>;tag={self.call_id[:8]}",
            f"To: {self._to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:{self.caller}@{self.own}>",
            "Max-Forwards: 70",
            *extra,
            *(["Content-Type: application/sdp"] if body and not extra else []),
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def _sdp(self) -> str:
        host = self.own.rpartition(":")[0]
        return (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {self.media_port} RTP/AVP {MULAW} {EVENT}\r\n"
            f"a=rtpmap:{MULAW} PCMU/8000\r\na=rtpmap:{EVENT} telephone-event/8000\r\n"
            f"a=fmtp:{EVENT} 0-15\r\na=ptime:20\r\n"
        )


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""
