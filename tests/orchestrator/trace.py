"""Tells what happens in a call, one line each, for scenario files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import commands
from tests.orchestrator.model_gateway import RATE
from voicemesh.api.journal.v1 import turn_pb2
from voicemesh.api.language.v1 import language_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.orchestrator.clock import Clock
    from voicemesh.journal import Entry

_ROLES = {
    language_pb2.ROLE_CALLER: "caller",
    language_pb2.ROLE_BOT: "bot",
    language_pb2.ROLE_TOOL: "tool",
}


class Trace:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lines: list[str] = []

    def line(self, who: str, what: str) -> None:
        self.lines.append(f"{self._clock.now:8.3f}  {who:<11} {what}".rstrip())

    def command(self, command: commands.Command) -> None:
        """Tell of a command; what comes in great numbers is left out."""
        tell = _TELL.get(type(command))
        if tell:
            self.line(*tell(command))


def _entry(entry: Entry) -> tuple[str, str]:
    kind = entry.WhichOneof("event") or ""
    event = getattr(entry, kind)
    parts = [kind, *(_value(f.name, getattr(event, f.name)) for f in event.DESCRIPTOR.fields)]
    return "journal", " ".join(part for part in parts if part)


def _value(name: str, value: Any) -> str:  # noqa: ANN401 - a field may hold anything
    if name.endswith("_offset"):
        return f"{name.removesuffix('_offset')}={value / RATE:.2f}"
    if isinstance(value, str):
        return f"{name}={value!r}" if value else ""
    if isinstance(value, bool):
        return name if value else ""
    if isinstance(value, int):
        return f"{name}={value}"
    return ""


def _think(command: commands.Think) -> tuple[str, str]:
    messages = command.prompt.messages[1:]
    told = [_message(message) for message in messages[-3:]]
    return "asks", f"{command.choice.name}: " + " | ".join(told)


def _message(message: language_pb2.Message) -> str:
    calls = "".join(f" calls {call.name}" for call in message.tool_calls)
    return f"{_ROLES[message.role]}: {message.text}{calls}"


def _report(command: commands.Report) -> tuple[str, str]:
    report = command.report
    stages = [
        f"{turn_pb2.Stage.Name(part.stage).lower()[6:]} {part.duration.ToMilliseconds()}"
        for part in report.stages
    ]
    return "reports", f"turn {report.turn}, ms: " + ", ".join(stages)


def _act(command: commands.Act) -> tuple[str, str]:
    return "orders", f"{command.kind} {command.argument} after {command.after_offset / RATE:.2f} s"


_TELL: dict[type, Callable[[Any], tuple[str, str]]] = {
    commands.Write: lambda c: _entry(c.entry),
    commands.Listen: lambda c: ("listens", f"{c.choice.name}, attempt {c.attempt}"),
    commands.Think: _think,
    commands.StopThinking: lambda _: ("asks", "no more"),
    commands.Speak: lambda c: ("speaks", f"with {c.choice.name}"),
    commands.StopSpeaking: lambda _: ("speaks", "no more"),
    commands.Say: lambda c: ("says", f"{c.sentence}: {c.text}"),
    commands.CallTool: lambda c: ("calls", f"{c.name} {c.arguments_json} ({c.key})"),
    commands.CancelTool: lambda c: ("cancels", c.key),
    commands.Flush: lambda c: (
        "flushes",
        f"{c.start_offset / RATE:.2f} to {c.end_offset / RATE:.2f} s",
    ),
    commands.Report: _report,
    commands.PlayOn: lambda _: ("lets", "playout go on"),
    commands.Act: _act,
    commands.GoAway: lambda c: ("goes", f"away within {c.seconds:g} s"),
    commands.Leave: lambda _: ("says", "goodbye to the gateway"),
    commands.Blame: lambda c: ("blames", f"{c.sense} {c.engine}: {c.problem}"),
}
