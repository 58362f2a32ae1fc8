"""From a topology's text to the topology, or to an account of every mistake in it."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

from mesh.services import SERVICES, ServiceName
from mesh.topology.access import Access
from mesh.topology.fields import Part
from mesh.topology.model import Topology, Tuning
from mesh.topology.region import Door, Front, Region, Service
from mesh.topology.rules import broken
from mesh.topology.tenants import Tenant
from mesh.topology.trust import Trust
from mesh.yamlfile import Document, Place
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LOCAL = Path(__file__).parents[1] / "topologies" / "local.yaml"
"""The topology used when none is named: one region on this machine."""


def load(path: Path) -> Topology:
    """Read a topology; raise Misconfigured naming file, line and field."""
    return parse(_text(path), path)


def parse(text: str, path: Path) -> Topology:
    """Parse a topology's text; ``path`` is only named in messages."""
    found = _read(Document(path, text))
    if isinstance(found, list):
        raise found[0]
    found._path = path
    return found


def problems(path: Path) -> list[Misconfigured]:
    """Return every mistake in a topology, in the order of its lines."""
    try:
        found = _read(Document(path, _text(path)))
    except Misconfigured as error:
        return [error]
    return found if isinstance(found, list) else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path}: cannot read the topology ({error}): name an existing file, as {LOCAL}",
            file=path,
        ) from error


def _read(document: Document) -> Topology | list[Misconfigured]:
    try:
        topology = Topology.model_validate(document.data)
    except ValidationError as error:
        told = [_explain(document, one) for one in _causes(error.errors())]
        found = list({one.message: one for one in told}.values())
    else:
        found = [document.error(place, problem) for place, problem in broken(topology)]
        if not found:
            return topology
    return sorted(found, key=lambda one: int(one.details["line"]))


def _causes(told: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short where that is because of what is wrong inside."""
    places = [one["loc"] for one in told]

    def follows(one: ErrorDetails) -> bool:
        depth = len(one["loc"])
        return any(len(place) > depth and place[:depth] == one["loc"] for place in places)

    return [one for one in told if not follows(one)]


def _explain(document: Document, problem: ErrorDetails) -> Misconfigured:
    place = _place(problem)
    kind = problem["type"]
    if kind == "extra_forbidden":
        return document.error(place, f"is not known here; {_instead(place)}")
    if kind == "missing":
        return document.error(place, "is missing; add it")
    if problem["loc"] and problem["loc"][-1] == "[key]" and kind == "literal_error":
        return document.error(place, f"is not a service; use one of {', '.join(SERVICES)}")
    if place[-1:] == ("neighbours",):
        return document.error(place, "must be nearest, or a list of regions; correct it")
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f" (it is {given!r})" if isinstance(given, str | int | float) else ""
    return document.error(place, f"{message[0].lower()}{message[1:]}{shown}; correct it")


def _place(problem: ErrorDetails) -> Place:
    """Return where it is in the file, without what pydantic adds for the choices of a union."""
    parts = [part for part in problem["loc"] if part != "[key]"]
    if "neighbours" in parts:
        cut = parts.index("neighbours") + 1
        parts[cut:] = [part for part in parts[cut:] if isinstance(part, int)]
    return tuple(parts)


def _instead(place: Place) -> str:
    """Say what may stand where an unknown key was found."""
    model: type[Part] = Topology
    for part in place[:-1]:
        model = _BELOW.get(part, model) if isinstance(part, str) else model
    if len(place) > 1 and place[-2] in get_args(ServiceName):
        model = Service
    known = sorted(model.model_fields)
    close = get_close_matches(str(place[-1]), known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"remove it, or use one of {', '.join(known)}"


_BELOW: dict[str, type[Part]] = {
    "regions": Region,
    "edge": Door,
    "mesh": Door,
    "front": Front,
    "tenants": Tenant,
    "trust": Trust,
    "access": Access,
    "tuning": Tuning,
}
