from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.commands import CallTool
from orchestrator.mcp import McpServers
from orchestrator.outside import Allowed
from orchestrator.tools import MAX_ANSWER_BYTES, Tools
from tests.orchestrator.servers import HttpServer
from voicemesh.bots import Bot, HttpTool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.events import ToolReturned


@asynccontextmanager
async def tools() -> AsyncIterator[Tools]:
    known = Tools(4, McpServers((), Allowed(())))
    try:
        yield known
    finally:
        await known.close()


async def call(url: str, arguments: str = "{}", **tool: Any) -> ToolReturned:  # noqa: ANN401
    description = HttpTool(name="look", description="Looks.", url=url, **tool)
    async with tools() as known:
        return await known.call(
            Bot(name="desk", tools=(description,)), CallTool("k", "look", arguments)
        )


async def test_arguments_go_into_path_query_and_body() -> None:
    async with HttpServer().running() as http:
        url = f"{http.address}/rooms/{{room}}"
        await call(url, '{"room": "a b", "day": 1}', method="GET")
        await call(url, '{"room": "7", "day": 1}', method="PUT")
        [(get, headers, nothing), (put, _, body)] = http.requests
        assert (get, nothing) == ("GET /rooms/a%20b?day=1 HTTP/1.1", None)
        assert (put, body) == ("PUT /rooms/7 HTTP/1.1", {"day": 1})
        assert headers["idempotency-key"] == "k"


async def test_text_becomes_json() -> None:
    async with HttpServer(body=b"all is well").running() as http:
        assert (await call(http.address)).result_json == '"all is well"'


@pytest.mark.parametrize(
    ("server", "arguments", "error"),
    [
        (HttpServer(status=404, body=b"no such room"), "{}", "404: no such room"),
        (HttpServer(status=302), "{}", '302: {"found": "it"}'),
        (HttpServer(silent=True), "{}", "no answer within 0.2 s"),
        (HttpServer(body=b"x" * (MAX_ANSWER_BYTES + 1)), "{}", "more than 65536 bytes"),
        (HttpServer(), "[1]", "no JSON object"),
        (HttpServer(), "{", "JSONDecodeError"),
        (HttpServer(breaks_off=2), "{}", "RemoteProtocolError"),
    ],
)
async def test_whatever_goes_wrong_is_an_answer(
    server: HttpServer, arguments: str, error: str
) -> None:
    async with server.running() as http:
        returned = await call(http.address, arguments, timeout_seconds=0.2)
        assert returned.result_json == ""
        assert error in returned.error


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nowhere", "http://[::", "http://{lacks}/"])
async def test_address_that_leads_nowhere_is_an_answer(url: str) -> None:
    returned = await call(url)
    assert returned.error
    assert not returned.result_json


async def test_unknown_tool_is_an_answer() -> None:
    async with tools() as known:
        returned = await known.call(Bot(name="desk"), CallTool("k", "look", "{}"))
        assert "no tool 'look'" in returned.error


async def test_connection_that_broke_is_tried_again_with_the_same_key() -> None:
    async with HttpServer(breaks_off=1).running() as http:
        returned = await call(http.address)
        assert returned.result_json == '{"found": "it"}'
        assert [headers["idempotency-key"] for _, headers, _ in http.requests] == ["k", "k"]


async def secretly(url: str, secret: str) -> ToolReturned:
    tool = HttpTool(name="look", description="Looks.", url=url, secret_digits="pin")  # noqa: S106
    async with tools() as known:
        command = CallTool("k", "look", '{"pin": "****", "day": 1}', secret)
        assert not secret or secret not in repr(command)
        return await known.call(Bot(name="desk", tools=(tool,)), command)


async def test_a_secret_gets_to_its_tool_and_nowhere_else() -> None:
    async with HttpServer(body=b'{"pin": "4711", "ok": true}').running() as http:
        returned = await secretly(http.address, "4711")
        assert http.requests[0][2] == {"pin": "4711", "day": 1}
        assert returned.result_json == '{"pin": "****", "ok": true}'


async def test_a_secret_does_not_come_back_in_an_error() -> None:
    async with HttpServer(status=401, body=b"4711 is wrong").running() as http:
        assert (await secretly(http.address, "4711")).error == "401: **** is wrong"
    assert "4711" not in (await secretly("http://127.0.0.1:1/{pin}", "4711")).error


async def test_a_secret_that_is_not_known_is_not_guessed() -> None:
    async with HttpServer().running() as http:
        returned = await secretly(http.address, "")
        assert "has to press them" in returned.error
        assert not http.requests
