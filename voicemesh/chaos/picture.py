"""A run as a picture: a row for each caller, a mark for each fault, gaps in red."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from voicemesh.chaos.outcome import Outcome

COLOURS = {
    "kill": "#e15759",
    "hang": "#f28e2b",
    "loop": "#edc948",
    "cut": "#b07aa1",
    "drain": "#4e79a7",
    "deploy": "#59a14f",
}
_CALL, _ANSWER, _GAP = "#e8e8e8", "#8cb9a0", "#d00000"


def picture(outcome: Outcome, path: Path) -> None:
    """Write the run as a picture; the file's ending chooses its kind."""
    try:
        figures = import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "a picture of the run needs matplotlib: run `pip install 'voicemesh[report]'`",
            package="matplotlib",
        ) from error
    height = 1.8 + 0.22 * outcome.callers
    figure = figures.Figure(figsize=(16, min(height, 40)), layout="constrained")
    axes = figure.subplots()
    _calls(axes, outcome)
    _faults(axes, outcome)
    lost = ", ".join(f"{name} {count}" for name, count in outcome.losses().items())
    axes.set_title(f"seed {outcome.seed}: {lost}", fontsize=9, loc="left", pad=44)
    axes.set_xlabel("seconds since the first moment of chaos; red: silence that a fault caused")
    axes.set_ylabel("caller")
    axes.set_ylim(-1, outcome.callers)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _calls(axes: Any, outcome: Outcome) -> None:  # noqa: ANN401 - matplotlib is optional
    zero = outcome.began
    for held in outcome.held:
        bars = [(held.began - zero, held.ended - held.began)]
        edge = _GAP if held.evidence.failure else "white"
        axes.broken_barh(bars, (held.row - 0.4, 0.8), facecolor=_CALL, edgecolor=edge)
        runs = [
            (begin - zero, end - begin) for answer in held.answers for begin, end in answer.runs
        ]
        axes.broken_barh(runs, (held.row - 0.4, 0.8), facecolor=_ANSWER)
    for gap in outcome.gaps.found:
        axes.broken_barh(
            [(gap.begin - zero, gap.seconds)],
            (gap.row - 0.4, 0.8),
            facecolor=_GAP,
            alpha=1.0 if gap.cause else 0.35,
        )


def _faults(axes: Any, outcome: Outcome) -> None:  # noqa: ANN401 - matplotlib is optional
    named: set[str] = set()
    for fault in outcome.struck:
        kind = fault.name.partition(" ")[0]
        colour, begin = COLOURS.get(kind, "black"), fault.at - outcome.began
        label = kind if kind not in named else None
        named.add(kind)
        axes.axvline(begin, color=colour, linewidth=1, label=label)
        if fault.until > fault.at:
            axes.axvspan(begin, fault.until - outcome.began, color=colour, alpha=0.08)
        axes.text(
            begin, outcome.callers, fault.process, rotation=60, fontsize=6, color=colour, ha="left"
        )
    if named:
        axes.legend(ncols=len(named), fontsize=8, frameon=False, loc="lower right")
