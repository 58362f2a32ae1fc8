"""Bring docs/capacity.md up to date with the packaged unit costs: `python -m bench.capacity`.

Rewrites what stands between its marks, and draws the rush again. A test says when it is due.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from voicemesh.capacity import units
from voicemesh.cli import build

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "capacity.md"
PICTURE = ROOT / "docs" / "rush.svg"
TOPOLOGIES = ROOT / "mesh" / "topologies"
EXAMPLES = ((10, "local"), (1_000, "local"), (100_000, "three-regions"), (1_000_000, "six-regions"))
"""Calls, and the topology that they are planned for."""
STORIES = (
    ("with headroom, eu-west lost", ("--lose", "eu-west")),
    ("without headroom, eu-west lost", ("--lose", "eu-west", "--no-survive")),
    ("planned for 600,000, none lost", ("--lose", "none", "--no-survive", "--planned", "600000")),
)


def told(*arguments: str) -> dict[str, Any]:
    """Return what a command of ours says, as JSON."""
    found = CliRunner().invoke(build(), [*arguments, "--json"])
    if found.exception is not None:
        raise found.exception
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def sections() -> dict[str, str]:
    """Return the text between each pair of marks."""
    return {
        "unit costs": "\n".join(_unit_costs()),
        "examples": "\n".join(_examples()),
        "stories": "\n".join(_stories()),
    }


def _unit_costs() -> Iterator[str]:
    found = units.load()
    origin = found.origin
    loads = ", ".join(map(str, origin.calls))
    noise = "a busy machine" if origin.noise else "a quiet machine"
    yield f"{origin.date}, {origin.machine}, {origin.cores} cores, {noise}, {loads} calls"
    yield f"({origin.leg}):"
    yield ""
    yield "| kind | processes | idle, ms/s each | MiB each | per call, ms/s | KiB per call |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for kind, unit in found.kinds.items():
        yield (
            f"| {kind} | {unit.processes} | {1000 * unit.idle_cores:.2f} | {unit.idle_mib:.0f} "
            f"| {1000 * unit.call_cores:.3f} | {unit.call_kib:.0f} |"
        )
    each = 1000 * sum(unit.call_cores for unit in found.kinds.values())
    yield ""
    opening = "" if found.opening_ms is None else f", and {found.opening_ms:.1f} ms to set it up"
    yield f"Together {each:.2f} ms of CPU for each second of a call{opening}."


def _examples() -> Iterator[str]:
    yield ("| calls | topology | processes | cores | GiB | Mbit/s in | out | machines/h | all/h |")
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for calls, name in EXAMPLES:
        plan = told("plan", "-n", str(calls), "-t", str(TOPOLOGIES / f"{name}.yaml"))
        regions = plan["regions"]

        money = [region["money_per_hour"] for region in regions]
        yield (
            f"| {calls:,} | {name} | {_sum(regions, 'processes'):,.0f} "
            f"| {_sum(regions, 'cores'):,.1f} | {_sum(regions, 'memory_gib'):,.1f} "
            f"| {_sum(regions, 'from_callers'):,.1f} | {_sum(regions, 'to_callers'):,.1f} "
            f"| {_sum(money, 'machines'):,.2f} | {_sum(money, 'total'):,.2f} |"
        )


def _sum(rows: list[dict[str, Any]], key: str) -> float:
    return float(sum(row[key] for row in rows))


def _stories() -> Iterator[str]:
    yield "| story | peak | accepted | to another region | refused | resumed | lost | busiest |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, arguments in STORIES:
        run = told("simulate", *arguments)
        total = run["total"]
        busiest = max(point["utilisation"] for point in run["points"])
        yield (
            f"| {name} | {run['peak_calls']:,} | {total['accepted']:,} | {total['overflowed']:,} "
            f"| {total['refused']:,} | {total['resumed']:,} | {total['lost']:,} | {busiest:.0%} |"
        )


def updated(page: str) -> str:
    """Return the page with its sections as they should be."""
    for name, text in sections().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        _, mark, tail = rest.partition(end)
        if not mark:
            raise ValueError(f"{PAGE}: the marks of {name!r} are missing")
        page = f"{head}{begin}\n{text}\n\n{mark}{tail}"
    return page


def main() -> None:
    """Write the page and the picture."""
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    told("simulate", *STORIES[0][1], "--picture", str(PICTURE))
    sys.stdout.write(f"{PAGE}\n{PICTURE}\n")


if __name__ == "__main__":
    main()
