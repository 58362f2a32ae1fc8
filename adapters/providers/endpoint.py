"""Where a provider is, how it lets us in, and how long it may take: one class of settings each.

Values come from the environment, prefix ``VOICEMESH_<PROVIDER>_``, or else from the provider's
section in the YAML file that ``VOICEMESH_PROVIDERS`` names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

    from adapters.config import AdapterSettings

_FROM_ENVIRONMENT, _FROM_FILE = "env:", "file:"


class Endpoint(BaseSettings):
    """What every provider's settings hold."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    provider: ClassVar[str] = ""
    """Section in the file, and with capitals the middle of variables' names."""

    url: str
    """Base of the provider's API; the place to choose a region or a self-hosted server."""
    region: str = ""
    """Residency zone that this endpoint keeps (such as ``eu``), as declared by whoever set it."""
    secret: str = ""
    """Where the key is: ``env:NAME`` or ``file:/path``; empty sends none. Read at each connection,
    so a file may be replaced."""
    connect_seconds: float = Field(default=2.0, gt=0, le=60)
    """How long a connection may take to be open."""
    first_seconds: float = Field(default=5.0, gt=0, le=120)
    """How long the first result may take."""
    between_seconds: float = Field(default=3.0, gt=0, le=120)
    """How long each further result may take after the one before."""
    connections: int = Field(default=100, ge=1, le=10000)
    """Utterances, sentences or replies at once; more are refused."""

    @field_validator("secret")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        if value and not value.startswith((_FROM_ENVIRONMENT, _FROM_FILE)):
            raise ValueError("must be env:NAME or file:/path, not the secret itself")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file's section, which is given as arguments."""
        return env_settings, init_settings

    def key(self) -> str:
        """Return the secret; raise Misconfigured naming where it should be."""
        if not self.secret:
            return ""
        kind, _, place = self.secret.partition(":")
        key = os.environ.get(place, "") if kind == "env" else self._in_file(Path(place))
        if not key.strip():
            raise Misconfigured(
                f"provider {self.provider!r}: no secret at {self.secret}",
                reason="NO_SECRET",
                provider=self.provider,
            )
        return key.strip()

    def _in_file(self, path: Path) -> str:
        try:
            return path.read_text()
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"provider {self.provider!r}: {self.secret} cannot be read",
                reason="NO_SECRET",
                provider=self.provider,
            ) from error


class SocketEndpoint(Endpoint):
    """An endpoint that is reached by WebSocket."""

    spares: int = Field(default=1, ge=0, le=1000)
    """Connections kept open ahead of need."""
    spare_seconds: float = Field(default=60.0, gt=0, le=3600)
    """How long a connection waits to be needed before it is closed."""


Kind = TypeVar("Kind", bound=Endpoint)


def endpoint(kind: type[Kind], adapter: AdapterSettings) -> Kind:
    """Return a provider's settings.

    Raises Misconfigured naming the variable, the field of the file, or the zone that is left.
    """
    section = _section(adapter.providers, kind.provider)
    try:
        chosen = kind(**section)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = "_".join(str(part) for part in first["loc"])
        name = f"VOICEMESH_{kind.provider.upper()}_{field.upper()}"
        where = f"{name} or {kind.provider}.{field} in {adapter.providers}"
        raise Misconfigured(
            f"{where if field in section else name}: {first['msg']}", field=name
        ) from None
    check_zone(chosen.provider, chosen.url, chosen.region, adapter.residency)
    return chosen


def check_zone(provider: str, url: str, region: str, zone: str) -> None:
    """Raise Misconfigured if a process that may not leave a zone would ask this endpoint."""
    if not zone or region == zone:
        return
    declared = f"is declared {region!r}" if region else "declares no region"
    name = f"VOICEMESH_{provider.upper()}_REGION"
    raise Misconfigured(
        f"{name}: this process may not leave {zone!r}, and {url} {declared}",
        reason="OUTSIDE_ZONE",
        field=name,
        zone=zone,
        region=region,
    )


def _section(path: Path | None, provider: str) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        sections = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = str(error).splitlines()[0]
        raise Misconfigured(
            f"VOICEMESH_PROVIDERS: {path}: {problem}", field="VOICEMESH_PROVIDERS"
        ) from error
    section = sections.get(provider, {}) if isinstance(sections, dict) else None
    if not isinstance(section, dict) or not all(isinstance(key, str) for key in section):
        raise Misconfigured(
            f"VOICEMESH_PROVIDERS: {path}: {provider} must be a section of names and values",
            field="VOICEMESH_PROVIDERS",
        )
    return section
