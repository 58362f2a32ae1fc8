"""Kinds of field that the parts of a topology are made of."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Slug: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Port: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=65535)]
IPv4: TypeAlias = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")]
HostPort: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?:[1-9]\d{0,4}$")
]
"""IPv4 address or DNS name, and port."""
Number: TypeAlias = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]
"""E.164."""


def _plain_text(value: object) -> object:
    """Take ``OMP_NUM_THREADS: 2`` as it was meant: the environment holds text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Environment: TypeAlias = dict[
    Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")],
    Annotated[str, BeforeValidator(_plain_text)],
]


class Part(BaseModel):
    """Base of everything in a topology: immutable, and no key is silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_name(address: str) -> bool:
    """Whether ``host:port`` holds a DNS name rather than an address."""
    return not address.rpartition(":")[0].replace(".", "").isdigit()
