"""Where the mesh is: as told, or as the local mesh wrote it down."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "VOICEMESH_HOME"
HOME = ".voicemesh"


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses of a mesh."""

    edge: str
    """Where calls come in, a gRPC target; of a local mesh both Envoys. Empty if unknown."""
    mesh: str
    """Where engines are reached, a gRPC target; empty if unknown."""
    models: str = ""
    """Model set that a local mesh runs: "embedded" or "scripted"; empty if unknown."""

    @property
    def voice_engine(self) -> str:
        """Name of the synthesis engine that a mesh with these models has."""
        return "scripted" if self.models == "scripted" else "hibari"


def find(
    to: str | None, mesh: str | None = None, *, environ: Mapping[str, str] | None = None
) -> Places:
    """Return the addresses given, and for what was not given those of the local mesh.

    Raise Misconfigured if no address was given and no mesh runs here.
    """
    state = _local_state(os.environ if environ is None else environ)
    models = str(state.get("models", "")) if to is None else ""
    places = Places(
        to or state.get("edge_target", ""), mesh or state.get("mesh_target", ""), models
    )
    if not places.edge:
        raise Misconfigured(
            "no mesh runs here: start one with `voicemesh up --detach`, or name one with --to",
            reason="NO_MESH",
        )
    return places


def need_mesh(places: Places) -> str:
    """Return where engines are reached; raise Misconfigured if that is unknown."""
    if not places.mesh:
        raise Misconfigured(
            "--say needs a voice: name the mesh Envoy that reaches one with --mesh, "
            "or send recordings with --audio",
            reason="NO_VOICE",
        )
    return places.mesh


def _local_state(environ: Mapping[str, str]) -> dict[str, Any]:
    path = Path(environ.get(HOME_VARIABLE) or HOME) / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
