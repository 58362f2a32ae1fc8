"""Topologies made from topologies, and questions to them that may have no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.services import DOORS, SERVICES, ServiceName
from mesh.topology.region import Service
from voicemesh.errors import InvalidInput, Misconfigured, NotFound

if TYPE_CHECKING:
    from mesh.topology.model import Topology
    from mesh.topology.region import Region


def on_free_ports(topology: Topology, **replicas: int) -> Topology:
    """Return the topology with doors on any free ports, so that it can run beside others.

    ``replicas`` changes how many replicas a service begins with, by its name.
    """

    def changed(region: Region) -> Region:
        doors = {name: getattr(region, name) for name in DOORS}
        free = {str(name): door.model_copy(update={"port": 0}) for name, door in doors.items()}
        if region.front:
            free["front"] = region.front.model_copy(update={"port": 0})
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
            f"{topology.path}: regions: one region is meant and the file has {names}: "
            "say which with --region",
            file=topology.path,
            field="regions",
        )
    return topology.regions[0]


def region_named(topology: Topology, name: str) -> Region:
    """Return a region by name; raise NotFound naming those that exist."""
    found = topology.region(name)
    if found is None:
        known = ", ".join(region.name for region in topology.regions)
        raise NotFound(
            f"{topology.path}: there is no region {name!r}; use one of {known}", region=name
        )
    return found


def engines(
    topology: Topology, region: Region, service: ServiceName, models: str
) -> tuple[str, ...]:
    """Return the engines a service offers in a model set; raise where it has no such set."""
    offered = region.services[service].engines
    if models in offered:
        return offered[models]
    field = f"services.{service}.engines"
    raise Misconfigured(
        f"{topology.path}: {region.name}: {field}: there is no model set {models!r} "
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
