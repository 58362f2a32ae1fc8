"""Settings every process shares; each service's ``config.py`` adds its own.

Values come from the environment, prefix ``VOICEMESH_`` (``VOICEMESH_LISTEN=127.0.0.1:7100``).
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from ssl import SSLContext
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voicemesh.admission import Limits
from voicemesh.errors import Misconfigured
from voicemesh.redaction.names import ALL, USUAL, Country, Kind
from voicemesh.tls import Trust, trust_in

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
    identity: Path | None = None
    """Folder with this process's certificate, its key and whom to believe (`voicemesh.tls`); none:
    nothing is encrypted, which only loopback addresses allow."""
    plaintext: bool = False
    """Whether other addresses allow it, too: only for networks that encrypt by themselves."""
    max_lag_ms: float = Field(default=50.0, ge=0, le=10000)
    """p95 of the event loop's lag, over 2 s, from which no new call is taken on; 0 is any."""
    max_memory_mib: int = Field(default=0, ge=0)
    """Memory of the process from which no new call is taken on; 0 is any."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line written."""
    redact: tuple[Kind, ...] = ALL
    """What is taken out of words before logs and webhooks, a JSON list; ``[]``: nothing."""
    redact_countries: tuple[Country, ...] = USUAL
    """Countries whose phone numbers and national ids are known by their rules, a JSON list."""
    otlp: str = ""
    """OTLP gRPC endpoint for spans; empty exports none."""

    @property
    def limits(self) -> Limits:
        """What this process takes on."""
        return Limits(self.max_calls, self.max_lag_ms / 1000, self.max_memory_mib * 1024 * 1024)

    @property
    def trust(self) -> Trust | None:
        """What this process shows and believes; None where nothing is encrypted."""
        return trust_in(self.identity) if self.identity else None

    @property
    def server_context(self) -> SSLContext | None:
        """The same for servers that are not gRPC; they answer the Envoys in front only."""
        return self.trust.server_context() if self.trust else None

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        host = self.listen.rpartition(":")[0].strip("[]")
        if not (self.identity or self.plaintext or is_loopback(host)):
            raise ValueError(
                f"{self.listen} is no loopback address: name a folder with certificates in "
                "VOICEMESH_IDENTITY, or set VOICEMESH_PLAINTEXT=true on a network that encrypts"
            )
        return self


def is_loopback(host: str) -> bool:
    """Return whether what is sent to a host stays on this machine."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def load(kind: type[Settings]) -> Settings:
    """Read settings from the environment; raise Misconfigured naming the variable and the limit."""
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        name = "VOICEMESH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Misconfigured(f"{name}: {first['msg']}", field=name) from error
