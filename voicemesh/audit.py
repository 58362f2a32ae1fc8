"""Whether a call stayed where it had to: its record's hops against the regions of its zone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicemesh.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Set


class Hop(BaseModel):
    """A replica that took part in a call, from a time on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str
    replica: str
    region: str
    time: str
    """UTC, ISO 8601."""


class Record(BaseModel):
    """What a call's record says of where it was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call_id: str
    tenant: str = ""
    residency: str = ""
    hops: tuple[Hop, ...] = ()
    hops_left_out: int = Field(default=0, ge=0)


class Finding(BaseModel):
    """The verdict on one call."""

    model_config = ConfigDict(frozen=True)

    record: Record
    allowed: tuple[str, ...] = ()
    """Regions of the call's zone."""
    beyond: tuple[Hop, ...] = ()
    """Hops outside of them."""
    problems: tuple[str, ...] = ()
    """What keeps the record from proving anything; empty if nothing does."""

    @property
    def kept(self) -> bool:
        """Whether the record proves that the call stayed inside."""
        return not self.beyond and not self.problems


def read(call: str, folder: Path) -> Record:
    """Read the record of a call, by its name or by its file.

    Raises NotFound where there is none, InvalidInput where it is no record.
    """
    path = Path(call) if call.endswith(".json") else folder / f"{call}.json"
    try:
        return Record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise NotFound(
            f"{path}: there is no such record: name the call, or its file, and the folder of the "
            "records with --records (VOICEMESH_RECORDS of the gateways)",
            call=call,
        ) from error
    except (OSError, ValueError, ValidationError) as error:
        raise InvalidInput("record", f"{path} is no call's record: {error}") from error


def check(record: Record, allowed: Set[str]) -> Finding:
    """Return whether a call stayed in the regions of its zone."""
    problems = []
    if not allowed:
        problems.append(f"no region serves the zone {record.residency!r}")
    if not record.residency:
        problems.append("the record says no zone")
    if "gateway" not in {hop.service for hop in record.hops}:
        problems.append("the record names no gateway")
    if record.hops_left_out:
        problems.append(f"{record.hops_left_out} hops are not in the record")
    return Finding(
        record=record,
        allowed=tuple(sorted(allowed)),
        beyond=tuple(hop for hop in record.hops if hop.region not in allowed),
        problems=tuple(problems),
    )
