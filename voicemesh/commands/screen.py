"""A call as it is shown in a terminal while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from voicemesh.client import Action, Cleared, Ended, Started, Transcript, Turn
from voicemesh.waterfall import bar, legend

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from voicemesh.client import Call, Event

_STYLES = {"caller": "cyan", "bot": "green"}
_SCALE_SECONDS = 1.0
_WIDTH = 50


class Screen:
    """Prints final words and waterfalls as they come; changing words stay on the last line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Started():
                self._print(Text(f"call {event.call_id} at {event.replica}", style="dim"))
            case Transcript():
                self._words(event)
            case Cleared():
                self._print(Text("        (interrupted)", style="yellow"))
            case Turn():
                longest = max(_SCALE_SECONDS, event.report.total)
                line = bar(event.report, width=_WIDTH, longest=longest)
                self._print(Text("        ").append_text(line))
            case Action():
                self._print(Text(f"        ({event.kind} {event.argument})", style="yellow"))
            case Ended():
                self._print(Text(f"{event.reason.replace('_', ' ')}, {event.seconds:.1f} s", "dim"))

    def _words(self, words: Transcript) -> None:
        line = Text(f"{words.speaker:>6}  ", style=_STYLES.get(words.speaker, ""))
        line.append(words.text, style="default" if words.final else "dim")
        if words.final:
            self._live.update(Text())
            self._print(line)
        else:
            self._live.update(line)

    def _print(self, text: Text) -> None:
        self._console.print(text)


def summary(call: Call) -> Table:
    """Return one line per turn: the waterfall's total, the mesh's share, the caller's own clock."""
    table = Table(title_justify="left", caption=legend([turn.report for turn in call.turns]))
    table.caption_justify = "left"
    table.add_column("turn", justify="right")
    table.add_column("caller said")
    for column in ("gateway ms", "mesh ms", "at the caller ms"):
        table.add_column(column, justify="right")
    for turn in call.turns:
        answer = call.answer_to(turn)
        report = turn.report
        table.add_row(
            str(report.turn),
            report.caller_text,
            f"{report.total * 1000:.0f}",
            f"{report.mesh_seconds * 1000:.1f}",
            f"{answer.seconds * 1000:.0f}" if answer else "-",
        )
    return table
