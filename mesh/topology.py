"""Topologies: which regions there are, which services run there, and how many of each.

A topology is one YAML file (``mesh/topologies/*.yaml``); every Envoy configuration is generated
from it. A mistake in the file raises Misconfigured with file, line, field and what to do.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from mesh.services import DOORS, SERVICES, DoorName, Envoy, ServiceName
from mesh.yamlfile import Document, Place
from voicemesh.errors import InvalidInput, Misconfigured

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LOCAL = Path(__file__).parent / "topologies" / "local.yaml"
"""The topology used when none is named: one region on this machine."""

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Slug: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Port: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=65535)]

PORT_STEP = 10
"""From the port of one Envoy to that of the next of its kind."""


def _plain_text(value: object) -> object:
    """Take ``OMP_NUM_THREADS: 2`` as it was meant: the environment holds text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Environment: TypeAlias = dict[
    Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")],
    Annotated[str, BeforeValidator(_plain_text)],
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Door(_Part):
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

    def port_of(self, number: int) -> int:
        """Return the port of one of its Envoys; 0 is any."""
        return self.port and self.port + PORT_STEP * number


class Service(_Part):
    """How one service runs in one region."""

    replicas: Annotated[int, Field(strict=True, ge=0, le=64)] = 1
    """Processes at the start; ``voicemesh scale`` changes it while calls run."""
    engines: dict[Slug, tuple[Slug, ...]] = Field(default_factory=dict)
    """Engines an adapter offers, by model set (``voicemesh up --models``)."""
    command: tuple[str, ...] = ()
    """Command to run instead of ``python -m <service>``."""
    environment: Environment = Field(default_factory=dict)
    """Variables for this service's processes; they win over the topology's."""
    log_level: LogLevel | None = None
    """Least severe log line; the topology's where absent."""


class Region(_Part):
    """One region: a pair of Envoys at its edge, a pair inside, and the services behind them."""

    name: Slug
    host: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")] = "127.0.0.1"
    """IPv4 address its processes listen on and are reached at."""
    edge: Door = Door()
    mesh: Door = Door()
    services: dict[ServiceName, Service] = Field(min_length=1)

    @model_validator(mode="after")
    def _ports_differ(self) -> Region:
        holders: dict[int, str] = {}
        for envoy in self.envoys():
            port = self.door(envoy.door).port_of(envoy.number)
            if port and port in holders:
                both = f"{holders[port]} and {envoy.name}"
                raise ValueError(f"{both} both listen on port {port}; give them different ports")
            holders[port] = envoy.name
        return self

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


class Tuning(_Part):
    """How fast trouble is noticed; every duration in milliseconds unless named otherwise."""

    health_interval_ms: Annotated[int, Field(strict=True, ge=50)] = 500
    """Time between two health checks of one replica."""
    health_timeout_ms: Annotated[int, Field(strict=True, ge=50)] = 300
    """Time a replica has to answer one; two misses take it out."""
    keepalive_ms: Annotated[int, Field(strict=True, ge=100)] = 200
    """Interval and timeout of HTTP/2 pings: what ends the live streams of a hung replica."""
    slow_start_seconds: Annotated[int, Field(strict=True, ge=0)] = 0
    """Window in which a new replica's share grows from 10 % to its full part; 0 is at once."""

    @model_validator(mode="after")
    def _answers_before_the_next(self) -> Tuning:
        if self.health_timeout_ms >= self.health_interval_ms:
            raise ValueError("health_timeout_ms must be smaller than health_interval_ms")
        return self


class Topology(_Part):
    """A whole mesh."""

    name: Slug
    regions: tuple[Region, ...] = Field(min_length=1)
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """How long live calls may go on after a process was told to stop."""
    log_level: LogLevel = "info"
    environment: Environment = Field(default_factory=dict)
    """Variables for every process."""
    tuning: Tuning = Tuning()
    chaos: Annotated[bool, Field(strict=True)] = False
    """Whether every replica stands behind a relay, so that its connections can be cut."""

    _path: Path = PrivateAttr(default=Path("topology"))

    @property
    def path(self) -> Path:
        """File it was read from, for messages that say what to change."""
        return self._path

    @model_validator(mode="after")
    def _names_differ(self) -> Topology:
        names = [region.name for region in self.regions]
        if len(set(names)) < len(names):
            raise ValueError("two regions have the same name; rename one of them")
        return self


def load(path: Path) -> Topology:
    """Read a topology; raise Misconfigured naming file, line and field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path}: cannot read the topology ({error}): name an existing file, as {LOCAL}",
            file=path,
        ) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Topology:
    """Parse a topology's text; ``path`` is only named in messages."""
    document = Document(path, text)
    try:
        topology = Topology.model_validate(document.data)
    except ValidationError as error:
        raise _explain(document, error.errors()[0]) from error
    topology._path = path
    return topology


def on_free_ports(topology: Topology, **replicas: int) -> Topology:
    """Return the topology with doors on any free ports, so that it can run beside others.

    ``replicas`` changes how many replicas a service begins with, by its name.
    """

    def changed(region: Region) -> Region:
        doors = {name: getattr(region, name) for name in DOORS}
        free = {str(name): door.model_copy(update={"port": 0}) for name, door in doors.items()}
        services = {
            name: service.model_copy(update={"replicas": replicas.get(name, service.replicas)})
            for name, service in region.services.items()
        }
        return region.model_copy(update={**free, "services": services})

    return topology.model_copy(update={"regions": tuple(map(changed, topology.regions))})


def with_phones(topology: Topology) -> Topology:
    """Return the topology with a SIP process in each region that has none."""

    def changed(region: Region) -> Region:
        services: dict[ServiceName, Service] = {"sip": Service(), **region.services}
        return region.model_copy(update={"services": services})

    return topology.model_copy(update={"regions": tuple(map(changed, topology.regions))})


def one_region(topology: Topology) -> Region:
    """Return the only region; raise where there are several."""
    if len(topology.regions) != 1:
        names = ", ".join(region.name for region in topology.regions)
        raise Misconfigured(
            f"{topology.path}: regions: this machine runs one region and the file has {names}: "
            "keep one of them",
            file=topology.path,
            field="regions",
        )
    return topology.regions[0]


def engines(topology: Topology, service: ServiceName, models: str) -> tuple[str, ...]:
    """Return the engines a service offers in a model set; raise where it has no such set."""
    offered = one_region(topology).services[service].engines
    if models in offered:
        return offered[models]
    field = f"services.{service}.engines"
    raise Misconfigured(
        f"{topology.path}: {field}: there is no model set {models!r} "
        f"(there is {', '.join(offered) or 'none'}): add it, or choose another with --models",
        file=topology.path,
        field=field,
        models=models,
    )


def service_name(text: str) -> ServiceName:
    """Return the service of that name; raise InvalidInput naming those that exist."""
    for name in SERVICES:
        if name == text:
            return name
    raise InvalidInput("service", f"there is no {text!r}; use one of {', '.join(SERVICES)}")


def _explain(document: Document, problem: ErrorDetails) -> Misconfigured:
    place: Place = tuple(part for part in problem["loc"] if part != "[key]")
    kind = problem["type"]
    if kind == "extra_forbidden":
        return document.error(place, f"is not known here; {_instead(place)}")
    if kind == "missing":
        return document.error(place, "is missing; add it")
    if problem["loc"] and problem["loc"][-1] == "[key]" and kind == "literal_error":
        return document.error(place, f"is not a service; use one of {', '.join(SERVICES)}")
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f" (it is {given!r})" if isinstance(given, str | int | float) else ""
    return document.error(place, f"{message[0].lower()}{message[1:]}{shown}; correct it")


def _instead(place: Place) -> str:
    """Say what may stand where an unknown key was found."""
    model: type[_Part] = Topology
    for part in place[:-1]:
        model = _BELOW.get(part, model) if isinstance(part, str) else model
    if len(place) > 1 and place[-2] in get_args(ServiceName):
        model = Service
    known = sorted(model.model_fields)
    close = get_close_matches(str(place[-1]), known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"remove it, or use one of {', '.join(known)}"


_BELOW: dict[str, type[_Part]] = {
    "regions": Region,
    "edge": Door,
    "mesh": Door,
    "tuning": Tuning,
}
