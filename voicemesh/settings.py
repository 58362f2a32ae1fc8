"""Settings every process shares; each service's ``config.py`` adds its own.

Values come from the environment, prefix ``VOICEMESH_`` (``VOICEMESH_LISTEN=127.0.0.1:7100``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from voicemesh.errors import Misconfigured

Settings = TypeVar("Settings", bound=BaseSettings)


class ServiceSettings(BaseSettings):
    """What a process needs to take part in a mesh."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_", extra="ignore", frozen=True)

    listen: str = "127.0.0.1:0"
    """Address to serve gRPC on; port 0 takes any free port."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Loopback port of Prometheus metrics; 0 serves none."""
    replica: str = "local-0"
    """Name of this process, unique within its region."""
    region: str = "local"
    """Region this process runs in."""
    mesh: str = "127.0.0.1:7001"
    """gRPC target of the mesh Envoy (any target string, ``xds:///`` included)."""
    bots: Path = Path("bots")
    """Folder of bot files."""
    drain_seconds: float = Field(default=30.0, ge=0, le=3600)
    """How long live calls may go on after SIGTERM, seconds."""
    max_calls: int = Field(default=400, ge=1, le=20000)
    """Streams served at once; more are refused before their first answer."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line written."""
    otlp: str = ""
    """OTLP gRPC endpoint for spans; empty exports none."""


def load(kind: type[Settings]) -> Settings:
    """Read settings from the environment; raise Misconfigured naming the variable and the limit."""
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        name = "VOICEMESH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Misconfigured(f"{name}: {first['msg']}", field=name) from error
