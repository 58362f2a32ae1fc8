"""What the generator takes and gives: plain data, no files and no processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh.services import DoorName, ServiceName

Json: TypeAlias = dict[str, Any]

ROUTES = "voicemesh"
"""Name of the route configuration."""
FRONT_ROUTES = "front"
"""Name of that of the front door."""

CALM, GO_AWAY = "0\n", "1\n"
"""What the pressure file of an Envoy holds: nothing, or that it shall be left."""


@dataclass(frozen=True)
class Endpoint:
    """One live replica, as Envoy needs to know it."""

    service: ServiceName
    address: str
    port: int
    region: str
    replica: str
    priority: int = 0
    """0 is this region; further regions follow in order."""
    sockets: int = 0
    """Port on which a gateway takes carriers' WebSockets; 0: it takes none."""
    answers: int = 0
    """Port on which it answers carriers' webhooks; 0: it does not."""

    @property
    def named(self) -> bool:
        """Whether its address is a DNS name."""
        return not self.address.replace(".", "").isdigit()


@dataclass(frozen=True)
class Layout:
    """Where one Envoy process finds its files.

    Each kind has its own watched folder: a new replica does not make Envoy read clusters and
    routes again.
    """

    folder: Path
    access_log: Path
    certificates: Path | None = None
    """Folder with what it shows and whom it believes; by default beside its other files."""
    shown: Path | None = None
    """Folder with what an edge shows to callers; likewise."""
    key_set: Path | None = None
    """File with the keys of callers' tokens; likewise."""

    @property
    def bootstrap(self) -> Path:
        """Static part: listener, guards, admin socket."""
        return self.folder / "envoy.json"

    @property
    def clusters(self) -> Path:
        """CDS file."""
        return self.folder / "clusters" / "clusters.json"

    @property
    def routes(self) -> Path:
        """RDS file."""
        return self.folder / "routes" / "routes.json"

    @property
    def front_routes(self) -> Path:
        """RDS file of the front door (Envoy rejects a file with two)."""
        return self.folder / "routes" / "front.json"

    def endpoints(self, cluster: str) -> Path:
        """Return the EDS file of one cluster (Envoy rejects a file with two)."""
        return self.folder / "endpoints" / f"{cluster}.json"

    @property
    def descriptors(self) -> Path:
        """Descriptors of the services that are also served as JSON."""
        return self.folder / "control.binpb"

    @property
    def identity(self) -> Path:
        """Folder of its certificate."""
        return self.certificates or self.folder / "identity"

    @property
    def public(self) -> Path:
        """Folder of the certificate that callers see."""
        return self.shown or self.folder / "public"

    @property
    def keys(self) -> Path:
        """Keys that callers' tokens are checked with."""
        return (self.key_set or self.folder / "jwks.json").absolute()

    def secret(self, name: str) -> Path:
        """Return the SDS file of one secret."""
        return self.folder / "secrets" / f"{name}.json"

    @property
    def pressure(self) -> Path:
        """Number that makes it send its clients away: ``CALM`` or ``GO_AWAY``."""
        return self.folder / "drain" / "pressure"

    @property
    def admin(self) -> Path:
        """Admin socket, mode 0600."""
        return self.folder / "admin.sock"


@dataclass(frozen=True)
class Rendered:
    """The whole configuration of one Envoy process."""

    door: DoorName
    layout: Layout
    bootstrap: Json
    clusters: Json
    routes: Json
    endpoints: Mapping[str, Json] = field(default_factory=dict)
    """EDS document by cluster, of those clusters that have one."""
    front_routes: Json | None = None
    """Routes of the front door, where there is one."""
    fences: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Clusters that a cluster of a zone may consist of, by its name."""
    secrets: Mapping[Path, Json] = field(default_factory=dict)
    """SDS documents by file."""

    def files(self) -> dict[Path, Json]:
        """Every document by its file, in the order in which they may be written."""
        documents = dict(self.secrets)
        documents |= {self.layout.endpoints(name): data for name, data in self.endpoints.items()}
        documents[self.layout.clusters] = self.clusters
        documents[self.layout.routes] = self.routes
        if self.front_routes:
            documents[self.layout.front_routes] = self.front_routes
        documents[self.layout.bootstrap] = self.bootstrap
        return documents


def typed(kind: str, **fields: object) -> Json:
    """Return a ``typed_config``: the message's fields and its type."""
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def extension(name: str, kind: str, **fields: object) -> Json:
    """Return a named extension with its ``typed_config``."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def watched(path: Path) -> Json:
    """Return a config source that Envoy reads again after a rename into the file's folder."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": str(path),
            "watched_directory": {"path": str(path.parent)},
        },
    }


def seconds(milliseconds: int) -> str:
    """Write a duration the way protobuf's JSON does."""
    return f"{milliseconds / 1000:g}s"
