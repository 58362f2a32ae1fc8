"""Requests to addresses that other people name: never to one of our own network by accident.

A name is looked up once for each request, every address of it is judged, and the one that was
judged is the one that is connected to; so a name that points elsewhere a moment later gains
nothing. Redirects are not followed. What lies in a private network has to be allowed by
``VOICEMESH_ALLOWED_HOSTS``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from voicemesh.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Sequence

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"


class Allowed:
    """Hosts that may be asked although they are private: names, addresses, networks (CIDR)."""

    def __init__(self, hosts: Sequence[str]) -> None:
        """Take names, too, that begin with ``*.``: all hosts below."""
        self._networks = [net for host in hosts if (net := _network(host))]
        self._names = [host.lower() for host in hosts if not _network(host)]

    def check(self, host: str, addresses: Sequence[str]) -> str:
        """Return the address to connect to. Raise Denied if one of them is not allowed."""
        if not addresses:
            raise Denied(f"{host} has no address", reason="NO_ADDRESS")
        for address in addresses:
            # The part behind % names an interface of ours.
            known = ipaddress.ip_address(address.partition("%")[0])
            mapped = getattr(known, "ipv4_mapped", None) or known
            if not ((mapped.is_global and not mapped.is_multicast) or self._allows(host, mapped)):
                raise Denied(
                    f"{host} is {address}, an address of a private network; "
                    "VOICEMESH_ALLOWED_HOSTS does not name it",
                    reason="PRIVATE_ADDRESS",
                    host=host,
                )
        return addresses[0]

    def _allows(self, host: str, address: Address) -> bool:
        name = host.lower()
        if any(address in network for network in self._networks):
            return True
        return any(
            name == each or (each.startswith("*.") and name.endswith(each[1:]))
            for each in self._names
        )


class Guard:
    """A transport (of httpx, or of its successor) that asks hosts which are allowed, and no other.

    Mix it into the kit's own ``AsyncBaseTransport``.
    """

    def __init__(self, allowed: Allowed, inner: Any) -> None:  # noqa: ANN401 - of either kit
        self._allowed = allowed
        self._inner = inner

    async def handle_async_request(self, request: Any) -> Any:  # noqa: ANN401 - of either kit
        """Send a request. Raise Denied where the host is not allowed."""
        host, port = request.url.host, request.url.port
        address = self._allowed.check(host, await _addresses(host, port or 443))
        if address != host:
            # The certificate is still checked against the name.
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Let connections go."""
        await self._inner.aclose()


class Guarded(Guard, httpx.AsyncBaseTransport):
    """The transport of whoever asks with httpx."""

    def __init__(self, allowed: Allowed, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections)
        super().__init__(allowed, httpx.AsyncHTTPTransport(limits=limits))


async def _addresses(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"{host}: {error.strerror}") from error
    return [str(entry[4][0]) for entry in found]


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None
