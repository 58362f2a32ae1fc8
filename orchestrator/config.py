"""Settings of an orchestrator."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voicemesh.settings import ServiceSettings


class OrchestratorSettings(ServiceSettings):
    """What an orchestrator needs beyond what every process does."""

    models: Literal["embedded", "scripted"] = "embedded"
    """``scripted`` replaces every engine of every bot by the scripted one."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts of a private network that brains and MCP servers may be at, a JSON list: names, also
    ``*.example.internal``, addresses, networks as 10.1.0.0/16."""
    tool_connections: int = Field(default=100, ge=1, le=1000)
    """HTTP connections to tools, all calls together."""
