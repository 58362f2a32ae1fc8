"""What the gateway is told to do once the bot was heard: hang up, transfer, press keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.commands import Act
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots.built_in import ACTING, SEND_DIGITS
from voicemesh.journal import ReplyState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.ledger import Ledger
    from orchestrator.speaking import Speaking

ENDING = "ending"


class Endings:
    """Orders each ending once, when everything said before it has become audio.

    An ending that the brain chose belongs to its reply: who interrupts that, revokes it. One that
    was decided for the call (a failure, a command, its greatest length) is ordered again.
    """

    def __init__(self, ledger: Ledger, call_id: str, speaking: Speaking) -> None:
        self._ledger = ledger
        self._call_id = call_id
        self._speaking = speaking

    def want(self, kind: str, argument: str = "") -> None:
        """Have the call end when all was said; survives a resume. The first wish counts."""
        if not self.decided:
            value = json.dumps({"kind": kind, "argument": argument})
            noted = journal_pb2.BrainNoted(name=ENDING, value_json=value)
            self._ledger.write("brain_noted", noted)

    @property
    def decided(self) -> bool:
        """Whether the call will end, whatever the caller says."""
        return ENDING in self._ledger.memory.notes

    @property
    def wanted(self) -> bool:
        """Whether the call is about to end."""
        ordered = any(act.kind != SEND_DIGITS for act in self._ledger.memory.actions.values())
        return ordered or any(kind != SEND_DIGITS for _, kind, _ in self._owed())

    def order_what_is_owed(self) -> None:
        """Order what the journal owes; to be called when nothing is left to be said."""
        for key, kind, argument in list(self._owed()):
            action = journal_pb2.ActionOrdered(
                key=key, kind=kind, argument=argument, after_offset=self._speaking.cursor
            )
            self._ledger.write("action_ordered", action)
            self._act(action)

    def repeat(self) -> None:
        """Tell the gateway again what was ordered; it does each once."""
        for action in self._ledger.memory.actions.values():
            self._act(action)

    def _act(self, action: journal_pb2.ActionOrdered) -> None:
        self._ledger.emit(Act(action.key, action.kind, action.argument, action.after_offset))

    def _owed(self) -> Iterator[tuple[str, str, str]]:
        memory = self._ledger.memory
        turn = memory.turn
        if turn and turn.reply is ReplyState.FINISHED:
            for tool in turn.tools:
                done = tool.key in memory.actions or tool.error
                if tool.name in ACTING and not done:
                    yield tool.key, tool.name, _argument(tool.name, tool.arguments_json)
        prefix = f"{self._call_id}-{ENDING}-"
        if self.decided and not any(key.startswith(prefix) for key in memory.actions):
            ending = json.loads(memory.notes[ENDING])
            # Gateways do each key once, and drop one whose words were interrupted.
            yield f"{prefix}{memory.actions_ordered}", ending["kind"], ending["argument"]


def _argument(kind: str, arguments_json: str) -> str:
    try:
        arguments = json.loads(arguments_json)
    except ValueError:
        return ""
    name = "digits" if kind == SEND_DIGITS else "target"
    return str(arguments.get(name, "")) if isinstance(arguments, dict) else ""
