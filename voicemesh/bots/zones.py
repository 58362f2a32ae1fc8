"""Which residency zone the endpoint behind an engine keeps, as whoever runs the mesh declared it.

Adapters and orchestrators read the same declarations: ``VOICEMESH_<SECTION>_REGION``, or ``region``
in the provider's section of the file that ``VOICEMESH_PROVIDERS`` names (docs/providers.md).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

EMBEDDED = frozenset({"whisper", "hibari", "retrieval", "smollm2", "scripted"})
"""Engines that ask nobody: their words stay where the process is."""


def outside(
    sense: str, engine: str, zones: tuple[str, ...], environ: Mapping[str, str] = os.environ
) -> str:
    """Return why calls that may not leave these zones may not use an engine; empty: they may."""
    if engine in EMBEDDED:
        return ""
    sections = (f"{engine}_{sense}", engine)
    found = next(filter(None, (_declared(section, environ) for section in sections)), "")
    if found in zones:
        return ""
    fence = f"but this bot's calls may not leave {', '.join(zones)}"
    if found:
        return f"the endpoint of {engine!r} is declared {found!r}, {fence}"
    variable = f"VOICEMESH_{engine.upper()}_REGION"
    return f"the endpoint of {engine!r} declares no region ({variable}), {fence}"


def _declared(section: str, environ: Mapping[str, str]) -> str:
    if region := environ.get(f"VOICEMESH_{section.upper()}_REGION"):
        return region
    path = environ.get("VOICEMESH_PROVIDERS")
    return str(_sections(Path(path)).get(section, {}).get("region", "")) if path else ""


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    """Return the sections of a file; what cannot be read declares nothing, and adapters say why."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {str(name): section for name, section in known if isinstance(section, dict)}
