"""Where the processes of this machine find their certificates, and who renews them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from mesh.envoy.files import replace
from mesh.trust.authority import LEAF_LIFE, Authority
from voicemesh.access import Access
from voicemesh.identity import OPERATOR, SUPERVISOR
from voicemesh.tls import ROOTS
from voicemesh.tokens import key_set, new_key, sign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from mesh.topology import Region, Topology

ENVOYS = ("edge", "mesh")
AUTHORITY, PUBLIC = "authority", "public"
SIGNING_KEY, JWKS = "signing.key", "jwks.json"
TOKEN, PHONES_TOKEN = "token", "phones.token"
_RENEW_SHARE = 0.5
"""Of a certificate's life, after which there is a new one."""


class Issuing:
    """Certificates of every process that runs here, made here unless the topology says where."""

    def __init__(self, topology: Topology, folder: Path, region: str) -> None:
        """``region`` is the one whose processes run here."""
        self._region = region
        self._topology = topology
        self._folder = folder
        self._trust = topology.trust
        self._access = topology.access

    @property
    def inner(self) -> bool:
        """Whether inner hops are encrypted."""
        return self._trust.mtls

    @property
    def made_here(self) -> bool:
        """Whether the certificates of inner hops are made here."""
        return self.inner and self._trust.identities is None

    @property
    def public_made_here(self) -> bool:
        """Whether the certificates that callers see are made here."""
        return self._access.certificate is None

    def folder(self, region: str, service: str) -> Path:
        """Return the folder with the certificate of a service of a region."""
        return (self._trust.identities or self._folder) / region / service

    def probing(self, region: str, service: str) -> Access:
        """Return how the supervisor asks a replica whether it serves."""
        return self._by(SUPERVISOR, region, service, ())

    def operating(self, region: str, addresses: Iterable[str]) -> Access:
        """Return how a person on this machine uses the mesh Envoys of a region."""
        return self._by(OPERATOR, region, "mesh", addresses)

    def _by(self, who: str, region: str, service: str, addresses: Iterable[str]) -> Access:
        if not self.inner:
            return Access(addresses=tuple(addresses), plaintext=True)
        return Access(
            addresses=tuple(addresses),
            identity=str(self.folder(region, who)),
            peer=self._trust.identity(region, service).host,
        )

    def public(self, region: str) -> Path:
        """Return the folder with the certificate that callers of a region see."""
        return self._access.certificate or self._folder / region / PUBLIC

    @property
    def keys(self) -> Path:
        """Keys that callers' tokens are checked with."""
        return self._access.jwks or self._folder / JWKS

    @property
    def tenant(self) -> str:
        """Whose token people on this machine have: the first tenant's, if there is one."""
        return next(iter(self._topology.tenants), "")

    def calling(self, addresses: Iterable[str]) -> Access:
        """Return how a caller on this machine gets in at the edges at some addresses."""
        made = self.public_made_here
        token = f"@{self._folder / TOKEN}" if self._signs else ""
        roots = str(self._folder / AUTHORITY / ROOTS) if made else ""
        peer = "localhost" if made else ""
        return Access(addresses=tuple(addresses), roots=roots, token=token, peer=peer)

    def telephoning(self) -> dict[str, str]:
        """Return the settings by which SIP processes get in at the edge, for nobody's calls."""
        known = self.calling(())
        token = {"TOKEN": f"@{self._folder / PHONES_TOKEN}"} if self._signs else {}
        return {"CA": known.roots, "PEER": known.peer, **token}

    def issue(self) -> None:
        """Make everything fresh that is made here: certificates, keys and tokens."""
        authority = Authority(self._folder / AUTHORITY)
        if self._signs:
            self._issue_tokens()
        if self.public_made_here:
            for region in self._here():
                names = ["localhost", region.host, *map(_host, region.edge.addresses)]
                authority.issue_public(list(dict.fromkeys(names)), self.public(region.name))
        if self.made_here:
            self._issue_inner(authority)

    def _here(self) -> list[Region]:
        return [one for one in self._topology.regions if one.name == self._region]

    @property
    def _signs(self) -> bool:
        """Whether the key of callers' tokens is made here."""
        return self._access.tokens and self._access.jwks is None

    def _issue_tokens(self) -> None:
        path = self._folder / SIGNING_KEY
        if not path.exists():
            replace(path, new_key(), mode=0o600)
        pem = path.read_text(encoding="utf-8")
        replace(self._folder / JWKS, key_set(pem))
        audience, issuer = self._access.audience, self._access.issuer
        for name, tenant in ((TOKEN, self.tenant), (PHONES_TOKEN, "")):
            token = sign(pem, tenant=tenant, issuer=issuer, audience=audience)
            replace(self._folder / name, token + "\n", mode=0o600)

    def _issue_inner(self, authority: Authority) -> None:
        for region in self._here():
            for service in (*region.services, *ENVOYS, SUPERVISOR, OPERATOR):
                identity = self._trust.identity(region.name, service)
                authority.issue(identity, self.folder(region.name, service))

    @asynccontextmanager
    async def renewing(self, renew: Callable[[], None]) -> AsyncIterator[None]:
        """Have ``renew`` called in good time while the block runs."""
        task = asyncio.create_task(_repeat(renew), name="renew certificates")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _host(address: str) -> str:
    return address.rpartition(":")[0]


async def _repeat(renew: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(LEAF_LIFE.total_seconds() * _RENEW_SHARE)
        renew()
