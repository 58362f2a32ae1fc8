"""A provider of all three senses on a loopback port, which is sick now and then.

It speaks OpenAI's API and does what the scripted engines do: recognises and makes the speech that
machines read, and answers by the script. What is wrong with it, `sickness` says.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from voicemesh.audio import read_wav, tonetext
from voicemesh.chaos.gaps import Struck
from voicemesh.chaos.sickness import Ill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voicemesh.chaos.sickness import Sickness

RATE = 8000
STALL_SECONDS = 15.0
"""How long a client is let wait that nothing comes for; longer than any deadline."""
DRIP_SECONDS = 0.5
SERVICE = "provider"
DEADLINE_SECONDS = 1.0
"""What the bot's file gives it."""
MOST_SILENCE_SECONDS = DEADLINE_SECONDS + 0.3
"""Longest that a caller may have to wait for longer than while all are well."""
TOPOLOGY = Path(__file__).parent / "providers.yaml"
BOTS = Path(__file__).parent / "provider_bots"
_MAX_BODY = 4 << 20
_IDLE_SECONDS = 60.0
_TOOL = re.compile(r"call tool (\w+)", re.IGNORECASE)
_COMPLAINTS = {
    Ill.UNAUTHORISED: (401, "Incorrect API key provided."),
    Ill.FULL: (429, "Rate limit reached."),
    Ill.BROKEN: (500, "The server had an error."),
}


@dataclass(frozen=True)
class Answer:
    """What a provider answers when it is well, in parts."""

    kind: str
    parts: Sequence[bytes]
    nothing: Sequence[bytes]
    """What it answers in the same form that has nothing in it."""


@dataclass
class Patient:
    """Who is asked, and what goes wrong. Safe for use by many threads."""

    sickness: Sickness
    struck: list[Struck] = field(default_factory=list)
    began: float | None = None
    """The first moment of chaos on the monotonic clock; None: all are well yet."""
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, sense: str) -> Ill | None:
        """Return what goes wrong with a request, and take note of it."""
        now = time.monotonic()
        with self._lock:
            self.asked += 1
            ill = None if self.began is None else self.sickness.strike(sense, now - self.began)
            if ill is not None:
                self.struck.append(Struck(f"{ill} of {sense}", SERVICE, now, now, SERVICE))
            return ill


class ProviderService:
    """The provider, for as long as the block runs."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.patient = patient
        self._thread = threading.Thread(target=self._server.serve_forever, name="provider")

    @property
    def url(self) -> str:
        """Return the base of its API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes bots and adapters ask it."""
        return {
            "VOICEMESH_BOTS": str(BOTS),
            "VOICEMESH_OPENAI_URL": self.url,
            "VOICEMESH_OPENAI_KEY": "",
            "VOICEMESH_OPENAI_STT_URL": self.url,
            "VOICEMESH_OPENAI_STT_STREAM": "false",
            "VOICEMESH_OPENAI_STT_SECRET": "",
            "VOICEMESH_OPENAI_TTS_URL": self.url,
            "VOICEMESH_OPENAI_TTS_RATE": str(RATE),
            "VOICEMESH_OPENAI_TTS_SECRET": "",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    patient: Patient

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - as its base has them
        super().__init__(*arguments)
        self.over = threading.Event()
        """Nobody is let wait any more."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        known = _SENSES.get(self.path.rpartition("/v1")[2])
        if known is None or not 0 < size <= _MAX_BODY:
            self.send_error(404)
            return
        sense, answering = known
        body = self.rfile.read(size)
        answer = answering(body, self.headers.get("Content-Type", ""))
        try:
            self._give(answer, self.server.patient.ask(sense))
        except OSError:
            # Whoever asked has left: that is what they should do.
            self.close_connection = True

    def _give(self, answer: Answer, ill: Ill | None) -> None:
        match ill:
            case None:
                self._answer(answer.kind, answer.parts)
            case Ill.EMPTY:
                self._answer(answer.kind, answer.nothing)
            case Ill.GARBAGE:
                self._answer("application/octet-stream", [b"\x07{not what it should be"])
            case Ill.UNAUTHORISED | Ill.FULL | Ill.BROKEN:
                self._complain(*_COMPLAINTS[ill])
            case Ill.STALL:
                self.server.over.wait(STALL_SECONDS)
                self._break()
            case Ill.RESET:
                self._break()
            case Ill.LATE_STALL | Ill.LATE_RESET | Ill.DRIP:
                self._begin(answer, ill)

    def _answer(self, kind: str, parts: Iterable[bytes]) -> None:
        body = b"".join(parts)
        self._head(200, kind, len(body))
        self.wfile.write(body)

    def _complain(self, status: int, words: str) -> None:
        body = json.dumps({"error": {"message": words}}).encode()
        self._head(status, "application/json", len(body), {"Retry-After": "1"})
        self.wfile.write(body)

    def _begin(self, answer: Answer, ill: Ill) -> None:
        """Begin to answer, and do not go on as it should."""
        body = b"".join(answer.parts)
        self._head(200, answer.kind, len(body))
        first = 1 if ill is Ill.DRIP else max(1, len(body) // 2)
        self.wfile.write(body[:first])
        if ill is Ill.LATE_STALL:
            self.server.over.wait(STALL_SECONDS)
        if ill is Ill.DRIP:
            for byte in body[1 : int(STALL_SECONDS / DRIP_SECONDS)]:
                if self.server.over.wait(DRIP_SECONDS):
                    break
                self.wfile.write(bytes((byte,)))
        self._break()

    def _head(
        self, status: int, kind: str, length: int, others: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(others or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _break(self) -> None:
        """Close with a reset, not with an end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _hear(body: bytes, kind: str) -> Answer:
    form = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
    )
    parts = {part.get_param("name", header="content-disposition"): part for part in form.walk()}
    wav = parts["file"].get_payload(decode=True)
    rate, samples = read_wav(BytesIO(wav if isinstance(wav, bytes) else b""))
    words = tonetext.decode(samples, rate)
    if words is None:
        words = f"utterance of {samples.size * 1000 // rate} ms"
    return Answer("application/json", [_json({"text": words})], [_json({"text": ""})])


def _speak(body: bytes, _: str) -> Answer:
    sound = tonetext.encode(json.loads(body)["input"], RATE).astype("<i2").tobytes()
    return Answer("audio/pcm", [sound], [bytes(len(sound))])


def _think(body: bytes, _: str) -> Answer:
    messages = json.loads(body)["messages"]
    words, tool = _script(messages)
    deltas: list[dict[str, Any]] = [
        {"content": piece} for piece in re.findall(r"\s*[^.]+\.*", words)
    ]
    if tool:
        called = {"name": tool, "arguments": json.dumps({"text": _said(messages)})}
        identity = f"call-{len(messages)}"
        deltas.append({"tool_calls": [{"index": 0, "id": identity, "function": called}]})
    reason = "tool_calls" if tool else "stop"
    parts = [_event({"delta": delta, "finish_reason": None}) for delta in deltas]
    end = [_event({"delta": {}, "finish_reason": reason}), b"data: [DONE]\n\n"]
    return Answer("text/event-stream", [*parts, *end], end)


def _script(messages: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Return what the scripted engine would say, and which tool it would call."""
    if messages[-1]["role"] == "tool":
        return f"The tool said: {str(messages[-1]['content']).rstrip('.')}.", ""
    said = _said(messages)
    if match := _TOOL.search(said):
        return "", match[1]
    turns = sum(message["role"] == "user" for message in messages)
    return f"You said: {said}. That was turn {turns}.", ""


def _said(messages: Sequence[dict[str, Any]]) -> str:
    heard = [message["content"] for message in messages if message["role"] == "user"]
    return str(heard[-1]).strip().rstrip(".?!") if heard else ""


def _event(choice: dict[str, Any]) -> bytes:
    return b"data: " + _json({"choices": [{"index": 0, **choice}]}) + b"\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_SENSES: dict[str, tuple[str, Callable[[bytes, str], Answer]]] = {
    "/audio/transcriptions": ("stt", _hear),
    "/audio/speech": ("tts", _speak),
    "/chat/completions": ("llm", _think),
}
