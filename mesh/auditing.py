"""``voicemesh audit``: where a call was, and whether it stayed inside its zone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesh.local import Home
from mesh.topology import LOCAL, load
from voicemesh import audit as audits


def audit(
    call: Annotated[str, typer.Argument(help="Name of a finished call, or its record's file.")],
    records: Annotated[
        Path | None,
        typer.Option(help="Folder of the records. Default: that of the mesh that runs here."),
    ] = None,
    topology: Annotated[
        Path | None,
        typer.Option("--topology", "-t", help="What says which regions serve a zone."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every hop of a call, and check it against the zone that the call must not leave.

    Exits with 1 where a hop lies outside, or where the record proves nothing.
    """
    record = audits.read(call, records or _kept(call))
    world = load(topology or _running() or LOCAL)
    allowed = {region.name for region in world.regions if record.residency in region.zones}
    finding = audits.check(record, allowed)
    if as_json:
        typer.echo(finding.model_dump_json(indent=1))
    else:
        _show(finding)
    if not finding.kept:
        raise typer.Exit(1)


def _kept(call: str) -> Path:
    """Return the folder of the region that has the record, of those that run here."""
    home = Home()
    regions = home.read_state().get("regions", [])
    folders = [home.records, *(home.of(region).records for region in regions)]
    return next((one for one in folders if (one / f"{call}.json").exists()), folders[0])


def _running() -> Path | None:
    """Return the topology of the mesh that runs here, if one does."""
    found = Home().read_state().get("topology")
    return Path(found) if found else None


def _show(finding: audits.Finding) -> None:
    record = finding.record
    zone = f"zone {record.residency or 'unknown'}: {', '.join(finding.allowed) or 'no region'}"
    table = Table(
        title=f"{record.call_id}  {record.tenant}  {zone}", title_justify="left", box=SIMPLE_HEAD
    )
    for column in ("when", "service", "replica", "region"):
        table.add_column(column, no_wrap=True)
    for hop in record.hops:
        colour = "red" if hop in finding.beyond else ""
        table.add_row(hop.time, hop.service, hop.replica, Text(hop.region, style=colour))
    out = Console(highlight=False)
    out.print(table)
    for hop in finding.beyond:
        out.print(f"outside: {hop.service} {hop.replica} in {hop.region}")
    for problem in finding.problems:
        out.print(f"not proved: {problem}")
    if finding.kept:
        out.print(f"inside: every hop was in {' or '.join(finding.allowed)}")
