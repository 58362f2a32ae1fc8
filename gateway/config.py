"""Settings of a gateway."""

from __future__ import annotations

from pydantic import Field

from voicemesh.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """What a gateway needs, besides what every process does."""

    read_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a caller may leave a message unread, seconds."""
    start_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a caller may take to its first message, seconds."""
