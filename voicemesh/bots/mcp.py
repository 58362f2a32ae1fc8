"""Tools of MCP servers (Model Context Protocol, streamable HTTP)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from voicemesh.bots.parts import Address, Part, Seconds, ToolName, filled, secret

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTING = "__"
"""Between a server's name and its tool's, as language models call it."""
MAX_NAME = 64
"""Longest name of a tool that language models take."""


class McpTool(NamedTuple):
    """A tool of a server, as far as the bot's file tells."""

    name: str
    """As the bot calls it: ``server__tool``."""
    server: McpServer
    theirs: str
    """As the server calls it."""
    filler: str
    cancel_on_barge_in: bool
    secret_digits: str = ""

    @property
    def timeout_seconds(self) -> float:
        """How long an answer may take."""
        return self.server.timeout_seconds


class McpServer(Part):
    """A server whose tools the bot can call."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")]
    """Name, unique within the bot; its tools are called ``name__tool``."""
    url: Address
    """Address. ``${NAME}`` and ``${NAME:-default}`` are taken from the environment."""
    token: str = Field(default="", max_length=500)
    """``${NAME}``, or ``@FILE``: a bearer token."""
    tools: tuple[ToolName, ...] = Field(min_length=1, max_length=32)
    """Names of those that the bot may call, as the server calls them."""
    timeout_seconds: Seconds = 5.0
    """How long an answer may take, seconds, up to 60."""
    filler: str = Field(default="", max_length=300)
    """What to say while waiting; empty says nothing."""
    cancel_on_barge_in: bool = False
    """Whether a call is given up when the caller interrupts; only if all may be left half done."""

    def address(self, environ: Mapping[str, str] = os.environ) -> str:
        """Return the url with the environment's values in it; raise Misconfigured if one lacks."""
        return filled(self.url, f"mcp server {self.name!r}", environ)

    def token_value(self, environ: Mapping[str, str] = os.environ) -> str:
        """Return the token itself; raise Misconfigured if it is not there."""
        return secret(self.token, f"mcp server {self.name!r}: token", environ)

    def tool(self, theirs: str) -> McpTool:
        """Return a tool by the server's name for it."""
        name = f"{self.name}{PARTING}{theirs}"
        return McpTool(name, self, theirs, self.filler, self.cancel_on_barge_in)
