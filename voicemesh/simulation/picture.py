"""A simulation as a picture: calls, openings that failed, and how busy regions were, over time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicemesh.simulation.samples import Point, Result

_SHARE = 100.0


def picture(result: Result, path: Path) -> None:
    """Draw it as a PNG or SVG file; raise Misconfigured where matplotlib is not installed."""
    try:
        figures, settings = import_module("matplotlib.figure"), import_module("matplotlib")
    except ImportError as error:
        raise Misconfigured(
            "a picture needs matplotlib: install voicemesh with the extra `report`",
            reason="NO_MATPLOTLIB",
        ) from error
    figure = figures.Figure(figsize=(9, 9), layout="constrained")
    calls, failed, busy = figure.subplots(3, 1, sharex=True)
    minutes = [one / 60 for one in sorted({point.seconds for point in result.points})]
    regions = {
        name: [point for point in result.points if point.region == name] for name in result.regions
    }
    _calls(calls, minutes, regions)
    _failed(failed, minutes, regions)
    for name, points in regions.items():
        busy.plot(minutes, [_SHARE * point.utilisation for point in points], label=name)
    busy.set(ylabel="busiest processes, % of a core", ylim=(0, _SHARE), xlabel="minutes")
    busy.legend(fontsize="small", ncols=3)
    if result.story.lost:
        for axes in (calls, failed, busy):
            axes.axvline(result.story.lost_at / 60, color="0.4", linestyle=":")
        at = (result.story.lost_at / 60, 0.9)
        where = failed.get_xaxis_transform()
        failed.text(*at, f"{result.story.lost} lost ", transform=where, ha="right", color="0.3")
    # Without date and random names, so that the same run gives the same file.
    vector = path.suffix == ".svg"
    with settings.rc_context({"svg.hashsalt": "voicemesh"}):
        figure.savefig(path, metadata={"Date": None} if vector else None)


def _calls(axes: Any, minutes: list[float], regions: dict[str, list[Point]]) -> None:  # noqa: ANN401
    axes.stackplot(
        minutes,
        *([point.calls for point in points] for points in regions.values()),
        labels=list(regions),
    )
    axes.set(ylabel="calls at once")
    axes.legend(fontsize="small", ncols=3, loc="upper left")


def _failed(axes: Any, minutes: list[float], regions: dict[str, list[Point]]) -> None:  # noqa: ANN401
    kinds: dict[str, Callable[[Point], int]] = {
        "went to another region": lambda point: point.overflowed,
        "resumed elsewhere": lambda point: point.resumed,
        "refused": lambda point: point.refused,
        "lost": lambda point: point.lost,
    }
    for label, count in kinds.items():
        sums = [sum(map(count, at)) for at in zip(*regions.values(), strict=True)]
        axes.plot(minutes, sums, label=label)
    axes.set(ylabel="calls in each interval", yscale="symlog")
    axes.legend(fontsize="small")
