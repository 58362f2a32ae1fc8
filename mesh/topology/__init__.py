"""Topologies: which regions there are, whom they may serve, what runs there and how many of each.

A topology is one YAML file (``mesh/topologies/*.yaml``); every Envoy configuration is generated
from it. A mistake in the file raises Misconfigured with file, line, field and what to do.
"""

from mesh.topology.change import (
    engines,
    on_free_ports,
    one_region,
    region_named,
    service_name,
    with_phones,
)
from mesh.topology.load import LOCAL, load, parse, problems
from mesh.topology.model import Topology, Tuning
from mesh.topology.region import Door, Front, Region, Service
from mesh.topology.tenants import Tenant
from mesh.topology.trust import Trust

__all__ = [
    "LOCAL",
    "Door",
    "Front",
    "Region",
    "Service",
    "Tenant",
    "Topology",
    "Trust",
    "Tuning",
    "engines",
    "load",
    "on_free_ports",
    "one_region",
    "parse",
    "problems",
    "region_named",
    "service_name",
    "with_phones",
]
