"""What a gateway knows of the world: its region, the others, and whose calls may be where.

The mesh writes it as a file for its gateways, and replaces the file when the topology changes.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from voicemesh.errors import Denied, Misconfigured


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Place(_Part):
    """One region, as its callers know it."""

    name: str
    zones: tuple[str, ...]
    coordinates: tuple[float, float] | None = None
    """Latitude and longitude, degrees."""
    edges: tuple[str, ...] = ()
    """Where callers come in, ``host:port``, the first choice first."""


class Owner(_Part):
    """A tenant."""

    residency: str
    home: str = ""
    """Region to prefer where nothing says which is near; empty: none."""


class World(_Part):
    """Regions and tenants, from one region's point of view."""

    region: str = "local"
    places: tuple[Place, ...] = ()
    tenants: dict[str, Owner] = {}
    numbers: dict[str, str] = {}
    """Tenant by number, E.164."""
    callers: str | None = None
    """Zone of callers of whom nothing is known; None: they are refused."""

    @property
    def zones(self) -> tuple[str, ...]:
        """Zones that this region serves; empty where nobody divided the world into any."""
        return next((one.zones for one in self.places if one.name == self.region), ())

    @property
    def divided(self) -> bool:
        """Whether there is more than one zone."""
        return len({zone for one in self.places for zone in one.zones}) > 1

    def owner(self, tenant: str, *numbers: str) -> str:
        """Return whose call it is: by token if there was one, else by number; empty: nobody's."""
        if tenant:
            return tenant
        return next((self.numbers[one] for one in numbers if one in self.numbers), "")

    def residency(self, tenant: str, told: str = "") -> str:
        """Return the zone that a tenant's call must not leave, empty where there are no zones.

        ``told`` is what the edge or a resumed call says it is. Raises Denied where nobody knows,
        where they disagree, and where the zone is not this region's: that fails closed.
        """
        if not self.places:
            return told
        zone = self._zone(tenant)
        if told and zone and told != zone:
            raise Denied(
                f"this call belongs to the zone {told}, not to {zone}", reason="WRONG_RESIDENCY"
            )
        zone = zone or told
        if not zone:
            raise Denied(
                "nobody knows where this call may be: it came with no tenant's token, and to no "
                "tenant's number",
                reason="NO_RESIDENCY",
            )
        if zone not in self.zones:
            raise Denied(
                f"{self.region} does not answer calls of the zone {zone}: ask LocateService where",
                reason="WRONG_REGION",
                residency=zone,
                region=self.region,
            )
        return zone

    def _zone(self, tenant: str) -> str:
        if not tenant:
            return self.callers or ""
        owner = self.tenants.get(tenant)
        if owner is None:
            raise Denied(f"there is no tenant {tenant!r}", reason="NO_TENANT", tenant=tenant)
        return owner.residency


class WorldFile:
    """A world that is read again whenever its file is another."""

    def __init__(self, path: str) -> None:
        """``path`` may be empty: then nothing is divided and nobody refused."""
        self._path = Path(path) if path else None
        self._seen: tuple[int, int] = (0, 0)
        self._world = World()

    @property
    def now(self) -> World:
        """The world as it is now; one that cannot be read leaves the one before."""
        if self._path is None:
            return self._world
        try:
            found = self._path.stat()
            if (found.st_mtime_ns, found.st_ino) != self._seen:
                self._world = World.model_validate_json(self._path.read_bytes())
                self._seen = found.st_mtime_ns, found.st_ino
        except (OSError, ValidationError) as error:
            if self._seen == (0, 0):  # without it, everybody would be let in
                raise Misconfigured(
                    f"VOICEMESH_WORLD: {self._path}: {error}", field="VOICEMESH_WORLD"
                ) from error
        return self._world
