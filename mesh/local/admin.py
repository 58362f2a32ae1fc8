"""What an Envoy says about itself, over its admin socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from voicemesh.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.services import DoorName

Health: TypeAlias = dict[str, str]
"""Replica address to ``healthy`` or the reason why it gets no streams."""

_SECONDS = 1.0


class Admin:
    """Client of one Envoy's admin interface."""

    def __init__(self, socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://envoy", timeout=_SECONDS, trust_env=False
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether it serves."""
        try:
            return (await self._http.get("/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def stats(self) -> dict[str, int]:
        """Every counter and gauge."""
        found = await self._json("/stats?format=json&type=Counters")
        found_gauges = await self._json("/stats?format=json&type=Gauges")
        entries = [*found.get("stats", []), *found_gauges.get("stats", [])]
        return {one["name"]: one["value"] for one in entries if isinstance(one.get("value"), int)}

    async def streams(self, door: DoorName) -> int:
        """How many streams are live that came in by it."""
        name = f"http.{door}.downstream_rq_active"
        found = await self._json(f"/stats?format=json&filter=^{name}$")
        return sum(one["value"] for one in found.get("stats", []) if one.get("name") == name)

    async def close_listeners(self) -> None:
        """Have it refuse new connections; those it has stay."""
        try:
            (await self._http.post("/drain_listeners")).raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"the Envoy's admin interface does not answer: {error!r}") from error

    async def health(self) -> dict[str, Health]:
        """Its view of every replica, by cluster."""
        found = await self._json("/clusters?format=json")
        return {
            cluster["name"]: {
                _address(host): _verdict(host.get("health_status", {}))
                for host in cluster.get("host_statuses", [])
            }
            for cluster in found.get("cluster_statuses", [])
        }

    async def busy(self) -> dict[str, dict[str, int]]:
        """How many streams it has with every replica, by cluster and address."""
        found = await self._json("/clusters?format=json")
        clusters = found.get("cluster_statuses", [])
        return {
            one["name"]: {_address(host): _streams(host) for host in one.get("host_statuses", [])}
            for one in clusters
        }

    async def _json(self, path: str) -> dict[str, Any]:
        try:
            answer = await self._http.get(path)
            answer.raise_for_status()
            body: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"the Envoy's admin interface does not answer: {error!r}") from error
        return body


def _address(host: dict[str, Any]) -> str:
    socket = host["address"]["socket_address"]
    return f"{socket['address']}:{socket['port_value']}"


def _streams(host: dict[str, Any]) -> int:
    figures = {one["name"]: one for one in host.get("stats", [])}
    return int(figures.get("rq_active", {}).get("value", 0))  # one that is 0 has no value


def _verdict(status: dict[str, Any]) -> str:
    """Envoy lists only the flags that are set; any of them keeps streams away."""
    flags = [flag for flag, value in status.items() if value is True]
    return ", ".join(sorted(flags)) or "healthy"
