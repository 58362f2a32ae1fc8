"""What Vonage's and jambonz' APIs are asked, by a server of ours that writes it down."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from vonage_voice.models import CreateCallRequest

from voicemesh.carriers.rest.control import Account, CallControl, NewCall, Transfer
from voicemesh.carriers.rest.jambonz import Jambonz
from voicemesh.carriers.rest.vonage import Vonage
from voicemesh.errors import InvalidInput, Misconfigured, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALL = NewCall(
    caller="+14155550100",
    callee="+14155550101",
    answer_url="https://edge.example.com/answer",
    stream_url="wss://edge.example.com/stream",
    status_url="https://edge.example.com/status",
    ring_seconds=20,
)
ONWARD = Transfer("+14155550102", "https://edge.example.com/onward", "+14155550100", 25)


class Server:
    """Answers every request alike and keeps what was asked."""

    def __init__(self, status: str, answer: object) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.tokens: list[str] = []
        self._answer = json.dumps(answer).encode() if answer is not None else b""
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            method, path, _ = line.decode().split()
            headers: dict[str, str] = {}
            while (line := await reader.readline()).strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append((method, path, json.loads(body)))
            self.tokens.append(headers["authorization"].removeprefix("Bearer "))
            head = f"HTTP/1.1 {self._status}\r\nContent-Length: {len(self._answer)}\r\n\r\n"
            writer.write(head.encode() + self._answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def served(status: str, answer: object) -> AsyncIterator[tuple[Server, str]]:
    server = Server(status, answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"


@pytest.fixture(scope="module")
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def pem(key: RSAPrivateKey) -> SecretStr:
    written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SecretStr(written.decode())


@asynccontextmanager
async def closing(control: CallControl) -> AsyncIterator[CallControl]:
    try:
        yield control
    finally:
        await control.aclose()


async def test_vonage_is_asked_for_a_call_as_its_own_package_would(
    private_key: RSAPrivateKey,
) -> None:
    async with served("201 Created", {"uuid": "c1", "status": "started"}) as (server, url):
        account = Account(application="app", secret=pem(private_key), base_url=url)
        async with closing(Vonage(account)) as control:
            assert await control.dial(CALL, "k") == "c1"
    [(method, path, body)] = server.asked
    assert (method, path) == ("POST", "/v1/calls")
    told = {"from_" if name == "from" else name: value for name, value in body.items()}
    written = CreateCallRequest(**told).model_dump(by_alias=True, exclude_none=True)
    assert json.loads(json.dumps(written)) == body
    claims = jwt.decode(server.tokens[0], private_key.public_key(), algorithms=["RS256"])
    assert claims["application_id"] == "app"


async def test_vonage_is_told_what_to_do_with_a_call(private_key: RSAPrivateKey) -> None:
    async with served("204 No Content", None) as (server, url):
        account = Account(application="app", secret=pem(private_key), base_url=url)
        async with closing(Vonage(account)) as control:
            await control.hang_up("c1", "k")
            await control.transfer("c1", ONWARD, "k")
            await control.press("c1", "1w#", "k")
            await control.play("c1", "https://edge.example.com/a.wav", "k")
            with pytest.raises(InvalidInput, match="digits"):
                await control.press("c1", "A", "k")
    onward = {
        "action": "connect",
        "endpoint": [{"type": "phone", "number": "14155550102"}],
        "timeout": 25,
        "from": "14155550100",
    }
    assert server.asked == [
        ("PUT", "/v1/calls/c1", {"action": "hangup"}),
        (
            "PUT",
            "/v1/calls/c1",
            {"action": "transfer", "destination": {"type": "ncco", "ncco": [onward]}},
        ),
        ("PUT", "/v1/calls/c1/dtmf", {"digits": "1p#"}),
        ("PUT", "/v1/calls/c1/stream", {"stream_url": ["https://edge.example.com/a.wav"]}),
    ]
    assert len(set(server.tokens)) == 4


def test_a_private_key_that_is_none_is_named() -> None:
    with pytest.raises(Misconfigured, match="private key"):
        Vonage(Account(application="app", secret=SecretStr("abc")))


async def test_jambonz_is_asked_for_a_call() -> None:
    async with served("201 Created", {"sid": "c1"}) as (server, url):
        account = Account(id="acct", key=SecretStr("api-key"), base_url=url)
        async with closing(Jambonz(account)) as control:
            assert await control.dial(CALL, "k") == "c1"
    body = {
        "from": "+14155550100",
        "to": {"type": "phone", "number": "+14155550101"},
        "call_hook": {"url": "https://edge.example.com/answer", "method": "POST"},
        "timeout": 20,
        "call_status_hook": {"url": "https://edge.example.com/status", "method": "POST"},
    }
    assert server.asked == [("POST", "/v1/Accounts/acct/Calls", body)]
    assert server.tokens == ["api-key"]


async def test_jambonz_is_told_what_to_do_with_a_call() -> None:
    async with served("202 Accepted", None) as (server, url):
        account = Account(id="acct", key=SecretStr("api-key"), base_url=url)
        async with closing(Jambonz(account)) as control:
            await control.hang_up("c1", "k")
            await control.transfer("c1", ONWARD, "k")
            await control.press("c1", "5#", "k")
            await control.play("c1", "https://edge.example.com/a.wav", "k")
    path = "/v1/Accounts/acct/Calls/c1"
    onward = {"url": "https://edge.example.com/onward", "method": "POST"}
    play = {"verb": "play", "url": "https://edge.example.com/a.wav"}
    assert server.asked == [
        ("PUT", path, {"call_status": "completed"}),
        ("PUT", path, {"call_hook": onward}),
        ("PUT", path, {"dtmf": {"digit": "5", "duration": 250}}),
        ("PUT", path, {"dtmf": {"digit": "#", "duration": 250}}),
        ("PUT", path, {"whisper": play}),
    ]


async def test_a_call_that_the_carrier_does_not_know_is_not_found() -> None:
    async with served("404 Not Found", {"msg": "no such call"}) as (_, url):
        account = Account(id="acct", key=SecretStr("api-key"), base_url=url)
        async with closing(Jambonz(account)) as control:
            with pytest.raises(NotFound):
                await control.hang_up("c1", "k")
