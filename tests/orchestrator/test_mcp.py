"""Tools of an MCP server: the official kit on both sides, over loopback HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

from orchestrator.commands import CallTool
from orchestrator.mcp import IDEMPOTENCY, McpServers
from orchestrator.outside import Allowed
from orchestrator.tools import Tools
from voicemesh.bots import Bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.events import ToolReturned


class Shop:
    """An MCP server that keeps what it was asked."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.kit = MCPServer("shop")
        self.kit.add_tool(self.price, name="price", description="Tells a price.")
        self.kit.add_tool(self.fail, name="fail", description="Fails.")
        self.kit.add_tool(self.hang, name="hang", description="Hangs.")

    def price(self, thing: str, context: Context) -> dict[str, Any]:
        meta = context.request_context.meta or {}
        self.keys.append(str(dict(meta).get(IDEMPOTENCY)))
        return {"thing": thing, "euro": 5}

    def fail(self) -> str:
        raise ValueError("no such thing")

    async def hang(self) -> str:
        await asyncio.Event().wait()
        return ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.kit.streamable_http_app(),
            log_config=None,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await task


def a_bot(url: str) -> Bot:
    server = {
        "name": "shop",
        "url": url,
        "tools": ["price", "fail", "hang"],
        "timeout_seconds": 3,
        "filler": "One moment.",
    }
    return Bot.model_validate({"name": "desk", "mcp": [server]})


@asynccontextmanager
async def connected(bot: Bot, *allowed: str) -> AsyncIterator[tuple[McpServers, Tools]]:
    servers = McpServers([bot], Allowed(allowed))
    tools = Tools(2, servers)
    await servers.start()
    try:
        yield servers, tools
    finally:
        await tools.close()
        await servers.stop()


async def test_tools_are_learnt_and_called_with_their_key() -> None:
    shop = Shop()
    async with shop.running() as url:
        bot = a_bot(url)
        async with connected(bot, "127.0.0.1") as (servers, tools):

            async def call(name: str, arguments: str = "{}") -> ToolReturned:
                return await tools.call(bot, CallTool("k-1", name, arguments))

            async with asyncio.timeout(30):
                await servers.learnt()
            known = {tool.name: tool for tool in servers.declarations(bot)}
            assert list(known) == ["shop__price", "shop__fail", "shop__hang"]
            assert json.loads(known["shop__price"].parameters_json)["required"] == ["thing"]
            tool = bot.tool("shop__price")
            assert tool
            assert tool.filler == "One moment."
            answer = await call("shop__price", '{"thing": "tea"}')
            assert json.loads(answer.result_json) == {"thing": "tea", "euro": 5}
            assert shop.keys == ["k-1"]
            assert "Error executing tool fail" in (await call("shop__fail")).error
            assert (await call("shop__hang")).error == "no answer within 3 s"
            assert "euro" in (await call("shop__price", '{"thing": "milk"}')).result_json


async def test_a_server_that_is_not_there_or_not_allowed_fails_its_calls() -> None:
    shop = Shop()
    async with shop.running() as url:
        bot = a_bot(url)
        async with connected(bot) as (servers, tools):
            answer = await tools.call(bot, CallTool("k", "shop__price", "{}"))
            assert "not connected" in answer.error
            assert not servers.declarations(bot)
