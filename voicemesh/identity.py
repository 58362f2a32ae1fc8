"""Who a process is: SPIFFE identities, and who may speak to whom.

``spiffe://<trust domain>/region/<region>/service/<service>``, as the only URI of a certificate
(https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md). Beside it the certificate has a
DNS name, ``<service>.<region>.<trust domain>``: gRPC clients can check no URI.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUST_DOMAIN = "voicemesh.internal"
"""Trust domain of a mesh that names none."""

SUPERVISOR = "supervisor"
"""Starts processes and asks them whether they serve; does nothing else."""
OPERATOR = "operator"
"""A person with a shell on our machines: `voicemesh eval`, `voicemesh sip dial`."""

_WORD = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_ID = re.compile(rf"spiffe://({_WORD})/region/({_WORD})/service/({_WORD})")

_DOORS: Mapping[str, frozenset[str]] = {"gateway": frozenset({"edge", "mesh"})}
_INSIDE = frozenset({"mesh"})

HEALTH = "/grpc.health.v1.Health/"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a process is."""

    domain: str
    region: str
    service: str
    """A service's name, ``edge`` or ``mesh`` for an Envoy, ``supervisor`` or ``operator``."""

    def __str__(self) -> str:
        return f"spiffe://{self.domain}/region/{self.region}/service/{self.service}"

    @property
    def host(self) -> str:
        """DNS name beside the URI."""
        return f"{self.service}.{self.region}.{self.domain}"

    def beside(self, service: str) -> Identity:
        """Return another service of the same region."""
        return Identity(self.domain, self.region, service)


def parse(text: str) -> Identity:
    """Read an identity; raise InvalidInput for whatever is none of ours."""
    match = _ID.fullmatch(text)
    if match is None:
        shape = "spiffe://<trust domain>/region/<region>/service/<service>"
        raise InvalidInput("identity", f"must look like {shape}, not {text!r}")
    return Identity(*match.groups())


def may_call(caller: Identity, called: Identity, path: str) -> bool:
    """Return whether a process may send a request straight to another, by the request's path.

    Every service stands behind the Envoys of its own region and hears nobody else; which service
    may use which through an Envoy is the Envoy's to check (`mesh.envoy.trust`). The supervisor may
    ask for health, and nothing else.
    """
    if (caller.domain, caller.region) != (called.domain, called.region):
        return False
    if caller.service == SUPERVISOR:
        return path.startswith(HEALTH)
    return caller.service in _DOORS.get(called.service, _INSIDE)
