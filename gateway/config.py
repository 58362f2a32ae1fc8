"""Settings of a gateway."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voicemesh.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """What a gateway needs, besides what every process does."""

    read_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a caller may leave a message unread, seconds."""
    start_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a caller may take to its first message, seconds."""
    records: str = ""
    """Folder that gets the record of each finished call, a JSON file; empty writes none."""
    models: Literal["embedded", "scripted"] = "embedded"
    """``scripted``: the mesh speaks with its scripted voice, whatever bots' files say."""
