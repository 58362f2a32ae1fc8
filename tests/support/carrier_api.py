"""Carriers' REST APIs on loopback: one that answers what it is told to, and a small Teler."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """What the body says, whether JSON or a form."""
        if "json" in self.headers.get("content-type", ""):
            told: dict[str, Any] = json.loads(self.body or b"{}")
            return told
        return parse_qs(self.body.decode())


Reply: TypeAlias = tuple[int, object]
Answering: TypeAlias = Callable[[Asked], Reply]


@dataclass
class Api:
    """An API on loopback and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serving(answering: Answering) -> Iterator[Api]:
    """Serve on a free port; bytes as an answer go out as they are, all else as JSON."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            api.asked.append(asked)
            status, told = answering(asked)
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            content = b"" if status == 204 else content
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_DELETE = do_POST  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Teler:
    """Teler's calls as its package knows them: initiated, changed once for each key, over."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.calls: dict[str, dict[str, object]] = {}
        self.changes: list[tuple[str, str, dict[str, Any]]] = []
        self._done: dict[tuple[str, str], Reply] = {}

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("x-api-key") != self._key:
            return 401, {"message": "Invalid API key", "errors": None}
        match asked.method, asked.path.strip("/").split("/"):
            case "POST", ["voice", "calls", "initiate"]:
                return self._initiate(asked.fields)
            case "GET", ["voice", "calls", call_id]:
                call = self.calls.get(call_id)
                return (200, {"data": call}) if call else (404, {"message": "No such call"})
            case "POST", ["voice", "calls", call_id, what]:
                return self._once(asked, call_id, what)
        return 501, {"message": "Not implemented"}

    def _initiate(self, wanted: dict[str, Any]) -> Reply:
        missing = {"from_number", "to_number", "flow_url"} - wanted.keys()
        if missing:
            return 422, {"message": f"{sorted(missing)} missing", "errors": sorted(missing)}
        call_id = f"call-{len(self.calls) + 1}"
        self.calls[call_id] = {"id": call_id, "state": "initiated", **wanted}
        return 200, {"data": self.calls[call_id]}

    def _once(self, asked: Asked, call_id: str, what: str) -> Reply:
        key = asked.headers.get("idempotency-key", "")
        if not key or len(key) > 255:
            return 422, {"message": "Idempotency-Key must have 1 to 255 characters"}
        if (call_id, key) not in self._done:
            self._done[call_id, key] = self._change(call_id, what, asked.fields)
        return self._done[call_id, key]

    def _change(self, call_id: str, what: str, wanted: dict[str, Any]) -> Reply:
        needed = {"play": "media_url", "dtmf": "digits", "transfer": "target", "hangup": ""}
        if what not in needed:
            return 501, {"message": "Not implemented"}
        if call_id not in self.calls:
            return 404, {"message": "No such call"}
        if self.calls[call_id]["state"] == "completed":
            return 410, {"message": "The call is over"}
        if needed[what] and needed[what] not in wanted:
            return 422, {"message": f"{needed[what]} missing"}
        if what == "transfer" and (problem := _wrong_transfer(wanted)):
            return 422, {"message": problem}
        self.changes.append((call_id, what, wanted))
        if what == "hangup":
            self.calls[call_id]["state"] = "completed"
        return 202 if what == "transfer" else 200, {"data": {"request_id": str(len(self.changes))}}


def _wrong_transfer(wanted: dict[str, Any]) -> str:
    if wanted.get("mode") != "cold":
        return "mode must be cold"
    needed = {"pstn": "number", "sip": "uri"}.get(wanted["target"].get("kind"))
    return "" if needed and wanted["target"].get(needed) else "target is wrong"
