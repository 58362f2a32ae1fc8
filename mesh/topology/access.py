"""How callers get in at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mesh.topology.fields import Part


class Access(Part):
    """Who may call, and how they show it."""

    tokens: Annotated[bool, Field(strict=True)] = True
    """Whether callers and applications must show a token (JWT). Without it whoever reaches the
    edge may do everything."""
    issuer: Annotated[str, Field(min_length=1, max_length=256)] = "voicemesh"
    """Issuer that tokens must name (`iss`)."""
    audience: Annotated[str, Field(min_length=1, max_length=256)] = "voicemesh"
    """Audience that tokens must name (`aud`)."""
    jwks: Path | None = None
    """JSON Web Key Set that tokens are checked with. Absent, a key is made here, for development;
    `voicemesh token` signs with it."""
    certificate: Path | None = None
    """Folder with the edge's ``tls.crt`` and ``tls.key``, kept fresh by something else. Absent, a
    certificate is made here, by the authority for development."""
    plaintext: Literal["loopback", "nowhere", "everywhere"] = "loopback"
    """Where the edge also takes connections that are not encrypted; everywhere is for an edge
    behind something that encrypts."""
