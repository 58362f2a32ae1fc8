"""The booking service of the demo: small, real, and strict about doing a thing once.

==================================  ============================================================
``POST /appointments``              book ``{date, time, name?, replaces?}``; 201 with
                                    ``{confirmation, date, time}``, 409 when the time is taken,
                                    404 when there is nothing of that number to replace
``DELETE /appointments/{number}``   cancel; 200 with ``{cancelled}``, 404 when there is none
``GET /appointments``               everything that is booked
==================================  ============================================================

An ``Idempotency-Key`` that was seen before gets the answer that it got then, and nothing happens;
with another request it gets 422. Noon is taken on every day, so that refusals can be tried.
``python -m demo.booking --port 0 --port-file FILE`` serves on loopback until it is stopped.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

TAKEN = "12:00"
FIRST_NUMBER = 4821
_KEYS = 10_000
"""Idempotency keys that are remembered."""
_MAX_BODY = 16 * 1024
_MAX_APPOINTMENTS = 10_000
_IDLE_SECONDS = 10.0

Answer: TypeAlias = tuple[HTTPStatus, dict[str, Any]]


class Ledger:
    """What is booked. Safe for use by many threads."""

    def __init__(self) -> None:
        self.effects = 0
        """How often something was really done."""
        self._lock = threading.Lock()
        self._numbers = itertools.count(FIRST_NUMBER)
        self._booked: dict[str, dict[str, Any]] = {}
        self._answered: OrderedDict[str, tuple[str, Answer]] = OrderedDict()

    def appointments(self) -> list[dict[str, Any]]:
        """Return everything that is booked, oldest first."""
        with self._lock:
            return [dict(each) for each in self._booked.values()]

    def handle(self, method: str, path: str, body: Mapping[str, Any], key: str) -> Answer:
        """Carry out a request, or repeat its answer if its key was seen before."""
        asked = json.dumps([method, path, body], sort_keys=True)
        with self._lock:
            if key and key in self._answered:
                before, answer = self._answered[key]
                if before != asked:
                    return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": "key of another request"}
                return answer
            answer = self._carry_out(method, path, body)
            if key:
                self._answered[key] = asked, answer
                if len(self._answered) > _KEYS:
                    self._answered.popitem(last=False)
            return answer

    def _carry_out(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        parts = path.strip("/").split("/")
        if parts == ["appointments"] and method == "POST":
            return self._book(body)
        if parts[0] == "appointments" and len(parts) == 2 and method == "DELETE":
            return self._cancel(parts[1])
        return HTTPStatus.NOT_FOUND, {"error": "there is nothing here"}

    def _book(self, body: Mapping[str, Any]) -> Answer:
        try:
            date = datetime.date.fromisoformat(str(body.get("date")))
            at = datetime.time.fromisoformat(str(body.get("time")))
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        slot = {"date": date.isoformat(), "time": at.strftime("%H:%M")}
        replaces = str(body.get("replaces") or "")
        if replaces and replaces not in self._booked:
            return HTTPStatus.NOT_FOUND, {"error": "no such appointment to replace"}
        if slot["time"] == TAKEN or self._is_taken(slot, apart_from=replaces):
            return HTTPStatus.CONFLICT, {"error": "that time is taken"} | slot
        if len(self._booked) >= _MAX_APPOINTMENTS:
            return HTTPStatus.INSUFFICIENT_STORAGE, {"error": "the book is full"}
        self._booked.pop(replaces, None)
        number = str(next(self._numbers))
        name = str(body.get("name") or "")
        self._booked[number] = {"confirmation": number, **slot, "name": name}
        self.effects += 1
        return HTTPStatus.CREATED, {"confirmation": number, **slot}

    def _is_taken(self, slot: Mapping[str, str], apart_from: str) -> bool:
        return any(
            number != apart_from and (each["date"], each["time"]) == (slot["date"], slot["time"])
            for number, each in self._booked.items()
        )

    def _cancel(self, number: str) -> Answer:
        if self._booked.pop(number, None) is None:
            return HTTPStatus.NOT_FOUND, {"error": "no such appointment"}
        self.effects += 1
        return HTTPStatus.OK, {"cancelled": number}


class BookingService:
    """The service on a loopback port, for as long as the block runs."""

    def __init__(self, port: int = 0, delay_seconds: float = 0.0) -> None:
        self.ledger = Ledger()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.ledger = self.ledger
        self._server.delay_seconds = delay_seconds
        self._thread = threading.Thread(target=self._server.serve_forever, name="booking")

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return its base address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def effects(self) -> int:
        """Return how often something was really done."""
        return self.ledger.effects

    def appointments(self) -> list[dict[str, Any]]:
        """Return everything that is booked, oldest first."""
        return self.ledger.appointments()

    def __enter__(self) -> BookingService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    ledger: Ledger
    delay_seconds: float


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/appointments":
            self._answer(HTTPStatus.OK, {"appointments": self.server.ledger.appointments()})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})

    def do_POST(self) -> None:
        self._change()

    def do_DELETE(self) -> None:
        self._change()

    def _change(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, {"error": "no JSON object"})
            return
        if self.server.delay_seconds:
            time.sleep(self.server.delay_seconds)
        path = self.path.partition("?")[0]
        key = self.headers.get("Idempotency-Key", "")
        self._answer(*self.server.ledger.handle(self.command, path, body, key))

    def _body(self) -> dict[str, Any] | None:
        try:
            size = int(self.headers.get("Content-Length") or 0)
            if not 0 <= size <= _MAX_BODY:
                return None
            body = json.loads(self.rfile.read(size) or b"{}")
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None

    def _answer(self, status: HTTPStatus, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="The booking service of the demo.")
    parser.add_argument("--port", type=int, default=7800, help="0 takes any free port")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds each change takes")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with BookingService(options.port, options.delay) as service:
        if options.port_file:
            fresh = options.port_file.with_suffix(".new")
            fresh.write_text(f"{service.port}\n")
            fresh.replace(options.port_file)
        stop.wait()


if __name__ == "__main__":
    main()
