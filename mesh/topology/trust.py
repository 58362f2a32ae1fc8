"""How the processes of a mesh know each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mesh.topology.fields import Part
from voicemesh.identity import TRUST_DOMAIN, Identity


class Trust(Part):
    """Who signs certificates, and whether inner hops are encrypted."""

    mtls: Annotated[bool, Field(strict=True)] = True
    """Whether every inner hop is encrypted and both ends show who they are. Without it nothing
    inside is checked: only for a network that does it by itself."""
    domain: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?$")] = TRUST_DOMAIN
    """Trust domain of all identities."""
    identities: Path | None = None
    """Folder with ``<region>/<service>/tls.crt``, ``tls.key`` and ``ca.crt`` for every service, and
    for ``edge``, ``mesh`` and ``supervisor``, kept fresh by something else. Absent, certificates
    are made here, by an authority for development."""

    def identity(self, region: str, service: str) -> Identity:
        """Return who a service of a region is."""
        return Identity(self.domain, region, service)
