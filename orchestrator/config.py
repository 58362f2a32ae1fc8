"""Settings of an orchestrator."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voicemesh.settings import ServiceSettings


class OrchestratorSettings(ServiceSettings):
    """What an orchestrator needs beyond what every process does."""

    models: Literal["embedded", "scripted"] = "embedded"
    """``scripted`` replaces every engine of every bot by the scripted one."""
    brain: str = "llm"
    """Where answers come from: a name of the table of brains."""
    tool_connections: int = Field(default=100, ge=1, le=1000)
    """HTTP connections to tools, all calls together."""
