"""One region of a topology: its place, its Envoys, its services."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mesh.services import DOORS, SERVICES, DoorName, Envoy, ServiceName
from mesh.topology.fields import Environment, HostPort, IPv4, LogLevel, Part, Port, Slug

PORT_STEP = 10
"""From the port of one Envoy to that of the next of its kind."""

ANY = "any"
"""Zone that a region serves where the file names none."""


class Door(Part):
    """The Envoys of one kind in a region: each does the same, so that one may fail."""

    port: Port = 0
    """Port the first listens on, each further one ten higher; 0 takes any free ports."""
    replicas: Annotated[int, Field(strict=True, ge=1, le=8)] = 2
    """Processes. With one, its death ends the streams of everybody until it is back."""
    concurrency: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    """Worker threads. Each has its own upstream connections and its own view of load."""
    heap_mib: Annotated[int, Field(strict=True, ge=64)] = 1024
    """Memory at which it sheds load (from 90 % on)."""
    log_level: LogLevel = "warning"
    addresses: tuple[HostPort, ...] = ()
    """Where others reach them, if not at the region's host and the ports above: a load balancer,
    a DNS name. Of the edge, it is what callers are told."""

    def port_of(self, number: int) -> int:
        """Return the port of one of its Envoys; 0 is any."""
        return self.port and self.port + PORT_STEP * number


class Front(Part):
    """The front doors of a region: where its mesh Envoys take the streams of other regions."""

    port: Port = 0
    """Port of the first mesh Envoy's, each further one ten higher; 0 takes any free ports, which
    only regions that are run together on one machine can know of each other."""
    addresses: tuple[HostPort, ...] = ()
    """Where other regions reach them, if not at the region's host and the ports above."""

    def port_of(self, number: int) -> int:
        """Return the front port of one mesh Envoy; 0 is any."""
        return self.port and self.port + PORT_STEP * number


class Service(Part):
    """How one service runs in one region: replicas that are started here, or where it runs."""

    replicas: Annotated[int, Field(strict=True, ge=0, le=64)] = 1
    """Processes at the start; ``voicemesh scale`` changes it while calls run."""
    addresses: tuple[HostPort, ...] = ()
    """Replicas that something else runs, by address; none is started here then."""
    dns: HostPort | None = None
    """A name whose every address is a replica (as of a headless service); none is started here."""
    engines: dict[Slug, tuple[Slug, ...]] = Field(default_factory=dict)
    """Engines an adapter offers, by model set (``voicemesh up --models``)."""
    command: tuple[str, ...] = ()
    """Command to run instead of ``python -m <service>``."""
    environment: Environment = Field(default_factory=dict)
    """Variables for this service's processes; they win over the topology's."""
    log_level: LogLevel | None = None
    """Least severe log line; the topology's where absent."""

    @model_validator(mode="after")
    def _one_way(self) -> Service:
        given = [name for name in ("replicas", "addresses", "dns") if name in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
        return self

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Addresses and names of what runs without us."""
        return (*self.addresses, *((self.dns,) if self.dns else ()))

    @property
    def started(self) -> int:
        """How many replicas are started here."""
        return 0 if self.elsewhere else self.replicas


Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


class Region(Part):
    """One region: a pair of Envoys at its edge, a pair inside, and the services behind them."""

    name: Slug
    host: IPv4 = "127.0.0.1"
    """IPv4 address its processes listen on and are reached at."""
    coordinates: tuple[Latitude, Longitude] | None = None
    """Latitude and longitude in degrees: tells who is near where nothing was measured."""
    zones: tuple[Slug, ...] = Field(default=(ANY,), min_length=1, max_length=32)
    """Residency zones it may serve. A call stays in the regions that serve its zone."""
    neighbours: tuple[Slug, ...] | Literal["nearest"] = "nearest"
    """Regions that its streams may overflow to, in order; ``nearest`` is all of them, by measured
    latency where ``latency_ms`` gives it and by coordinates otherwise. A zone leaves out some."""
    latency_ms: dict[Slug, Annotated[float, Field(gt=0, le=2000)]] = Field(default_factory=dict)
    """Round trip to other regions, as measured."""
    edge: Door = Door()
    mesh: Door = Door()
    front: Front | None = None
    """How other regions reach it. Where there are others it is there even if not given."""
    services: dict[ServiceName, Service] = Field(min_length=1)

    @model_validator(mode="after")
    def _ports_differ(self) -> Region:
        holders: dict[int, str] = {}
        for name, port in self.listening():
            if port and port in holders:
                both = f"{holders[port]} and {name}"
                raise ValueError(f"{both} both listen on port {port}; give them different ports")
            holders[port] = name
        return self

    def listening(self) -> list[tuple[str, int]]:
        """Return who listens on which port; 0 is any."""
        doors = [(one.name, self.door(one.door).port_of(one.number)) for one in self.envoys()]
        front = self.front or Front()
        fronts = [(f"front-{one}", front.port_of(one)) for one in range(self.mesh.replicas)]
        return doors + fronts

    def door(self, name: DoorName) -> Door:
        """Return the settings of one kind of Envoy."""
        return self.edge if name == "edge" else self.mesh

    def envoys(self) -> tuple[Envoy, ...]:
        """Return every Envoy, the edge's first."""
        return tuple(
            Envoy(door, number) for door in DOORS for number in range(self.door(door).replicas)
        )

    def behind(self, door: DoorName) -> tuple[ServiceName, ...]:
        """Return the services that callers reach through an Envoy."""
        return tuple(
            name for name in SERVICES if name in self.services and SERVICES[name].door == door
        )

    def edge_addresses(self) -> tuple[str, ...]:
        """Return where callers come in, ``host:port``; empty where that is known only later."""
        ports = [self.edge.port_of(number) for number in range(self.edge.replicas)]
        return self.edge.addresses or tuple(f"{self.host}:{port}" for port in ports if port)

    def front_addresses(self) -> tuple[str, ...]:
        """Return where others reach it, ``host:port``; empty where that is known only later."""
        front = self.front or Front()
        if front.addresses:
            return front.addresses
        ports = [front.port_of(number) for number in range(self.mesh.replicas)]
        return tuple(f"{self.host}:{port}" for port in ports if port)
