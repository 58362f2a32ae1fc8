"""The SIP file: where phones come in, who may, which bot answers, and the trunks that lead out."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from sip.sources import MAX_NETWORKS
from voicemesh.errors import Misconfigured, NotFound

LOCAL = Path(__file__).with_name("local.yaml")
"""Used when no file is named: phones of this machine."""

Srtp: TypeAlias = Literal["off", "optional", "required"]
Transport: TypeAlias = Literal["udp", "tcp", "tls"]
Codec: TypeAlias = Literal["pcmu", "pcma", "g722"]
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _from_environment(value: object) -> object:
    """Take `${NAME}` from the environment: secrets stay out of files."""
    found = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    if found[1] not in os.environ:
        raise ValueError(f"the environment has no {found[1]}")
    return os.environ[found[1]]


Host: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(:\d{1,5})?$", max_length=128)]
User: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9+._~*#-]*$", max_length=64), BeforeValidator(_from_environment)
]
Secret: TypeAlias = Annotated[SecretStr, BeforeValidator(_from_environment)]
File: TypeAlias = Annotated[str, BeforeValidator(_from_environment), Field(pattern=r"^[^\s\"]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Part):
    """Where phones come in."""

    address: str = Field(default="127.0.0.1", pattern=r"^\d{1,3}(\.\d{1,3}){3}$")
    """IPv4 address of this machine for SIP and RTP."""
    port: int = Field(default=5060, ge=1, le=65000)
    """Port of UDP and TCP; TLS is on the next. Each further process takes the port ten higher."""
    transports: tuple[Transport, ...] = Field(default=("udp", "tcp"), min_length=1)
    rtp_ports: str = Field(default="16384-24575", pattern=r"^\d{2,5}-\d{2,5}$")
    """UDP ports of audio: two for each call of all processes together."""
    certificate: File = ""
    """PEM file with certificate and key, for `tls`; `${NAME}` takes it from the environment."""
    authorities: File = ""
    """PEM file with the authorities that TLS trunks must be certified by."""


class Trunk(_Part):
    """A provider, or a telephone system, that calls go out over."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    domain: Host
    """Host, and port if it is not 5060: what completes a number to an address."""
    user: User
    """Our name there; callers see it."""
    login: User = ""
    """Name for the digest, where it is not `user`."""
    password: Secret = SecretStr("")
    """Password for the digest; `${NAME}` takes it from the environment."""
    proxy: str = Field(default="", pattern=r"^[A-Za-z0-9.:;=-]*$", max_length=128)
    """Host that everything is sent through, as `edge.example.com;transport=tls`."""
    register_seconds: int = Field(default=0, ge=0, le=86400)
    """How often to REGISTER; 0: never, as trunks with known addresses want it."""
    transport: Transport = "udp"
    srtp: Srtp = "off"


class SipFile(_Part):
    """The whole file."""

    listen: Listen = Listen()
    allow: tuple[IPv4Network, ...] = Field(
        default=(IPv4Network("127.0.0.0/8"),), min_length=1, max_length=MAX_NETWORKS
    )
    """Networks that may send SIP; others get no answer. `0.0.0.0/0` lets everybody in."""
    numbers: dict[str, str] = Field(default_factory=dict, max_length=10000)
    """Bot for the user part that is dialled; `*` stands for any text, the first that fits counts.
    What fits none is left to the gateway's numbers file."""
    codecs: tuple[Codec, ...] = Field(default=("pcmu", "pcma"), min_length=1)
    """What is offered and taken, best first. With g722 calls have 16 kHz in the mesh."""
    srtp: Srtp = "off"
    """Whether audio of calls that come in is encrypted (keys in the SDP: let `tls` carry it)."""
    trunks: tuple[Trunk, ...] = ()

    @property
    def rate(self) -> int:
        """Samples per second that calls have in the mesh."""
        return 16000 if "g722" in self.codecs else 8000

    def bot(self, user: str) -> str:
        """Return the bot that a user part is for; empty if the file does not say."""
        fitting = (bot for number, bot in self.numbers.items() if fnmatchcase(user, number))
        return next(fitting, "")

    def trunk(self, name: str) -> Trunk:
        """Return a trunk, the first if no name is given; raise NotFound naming those there are."""
        for trunk in self.trunks:
            if name in ("", trunk.name):
                return trunk
        known = ", ".join(trunk.name for trunk in self.trunks) or "none"
        raise NotFound(f"there is no trunk {name!r}; there are {known}", trunk=name)


def load(path: Path) -> SipFile:
    """Read a SIP file; raise Misconfigured naming file and field."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return SipFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Misconfigured(f"{path}: {field}: {first['msg']}", file=path, field=field) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Misconfigured(f"{path}: cannot read the SIP file: {error}", file=path) from error
