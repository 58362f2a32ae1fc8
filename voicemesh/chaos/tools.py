"""The service that bots call: it does a thing once for each key, and counts what it did."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from voicemesh.chaos.aim import Moment

if TYPE_CHECKING:
    from voicemesh.chaos.aim import Aim

_MAX_BODY = 16 * 1024
_IDLE_SECONDS = 30.0
DELAY_SECONDS = 0.15
"""How long the work takes: long enough for a fault to strike in the middle of it. Who asks for the
same again is answered as soon as it is done: a service that honours keys does not do it twice, and
its own time is no gap of the mesh's."""


class Notes:
    """What was written down. Safe for use by many threads."""

    def __init__(self) -> None:
        self.requests = 0
        """How often anything was asked, the same thing again included."""
        self._lock = threading.Lock()
        self._answers: dict[str, str] = {}
        self._keys: dict[str, set[str]] = defaultdict(set)
        self._first: dict[str, str] = {}
        self._begun: dict[str, float] = {}

    def begin(self, key: str, now: float) -> float:
        """Take note that work is asked for; return how long ago it was for the first time."""
        with self._lock:
            return now - self._begun.setdefault(key, now)

    def write(self, text: str, key: str) -> str:
        """Write a text down, once for each key; return the answer, JSON."""
        with self._lock:
            self.requests += 1
            if key not in self._answers:
                self._answers[key] = str(len(self._answers) + 1000)
                self._keys[text].add(key)
                self._first.setdefault(text, self._answers[key])
            return self._answers[key]

    def results(self) -> dict[str, str]:
        """Return what each text was answered, the first time."""
        with self._lock:
            return dict(self._first)

    def effects(self) -> dict[str, int]:
        """Return how often each text was really written down."""
        with self._lock:
            return {text: len(keys) for text, keys in self._keys.items()}


class NoteService:
    """The service on a loopback port, for as long as the block runs."""

    def __init__(self, delay_seconds: float = DELAY_SECONDS) -> None:
        self.notes = Notes()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.notes = self.notes
        self._server.delay_seconds = delay_seconds
        self._server.aim = None
        self._thread = threading.Thread(target=self._server.serve_forever, name="notes")

    @property
    def url(self) -> str:
        """Return its base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kill_whoever_calls(self, aim: Aim) -> None:
        """Let those who call be killed from now on."""
        self._server.aim = aim

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    notes: Notes
    delay_seconds: float
    aim: Aim | None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= _MAX_BODY:
            self._answer(HTTPStatus.BAD_REQUEST, "{}")
            return
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionResetError  # whoever asked was killed as it wrote
        asked = json.loads(body)
        key = self.headers.get("Idempotency-Key", "")
        passed = self.server.notes.begin(key, time.monotonic())
        # Half before and half behind the effect: a kill may strike on either side of it.
        half = self.server.delay_seconds / 2
        time.sleep(max(half - passed, 0))
        self._reached(Moment.ASKED, key)
        answer = self.server.notes.write(str(asked.get("text", "")), key)
        self._reached(Moment.DONE, key)
        time.sleep(min(max(2 * half - passed, 0), half))
        self._answer(HTTPStatus.OK, answer)
        self._reached(Moment.ANSWERED, key)

    def _reached(self, moment: Moment, key: str) -> None:
        if self.server.aim is not None:
            port, own_port = self.client_address[1], self.server.server_address[1]
            self.server.aim.reached(moment, key, port, own_port)

    def _answer(self, status: HTTPStatus, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True  # whoever asked was killed

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""
