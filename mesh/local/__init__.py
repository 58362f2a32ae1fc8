"""Runs a topology on this machine: processes started, watched, scaled, drained."""

from mesh.local.control import ask
from mesh.local.home import Home
from mesh.local.keeper import State
from mesh.local.status import MeshStatus, ProcessStatus, WorldStatus
from mesh.local.supervisor import LocalMesh
from mesh.local.world import LocalWorld

__all__ = [
    "Home",
    "LocalMesh",
    "LocalWorld",
    "MeshStatus",
    "ProcessStatus",
    "State",
    "WorldStatus",
    "ask",
]
