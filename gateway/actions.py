"""What the orchestrator wants done to the call: each thing once, and not before it was announced.

An action is carried out when the bot was played up to its offset, and dropped when a flush takes
away what it waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.errors import OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from gateway.events import ActionTold
    from voicemesh.journal import Entry


class Actions:
    """The actions of one call; offsets are bot offsets."""

    def __init__(self) -> None:
        self._ordered: set[str] = set()
        self._settled: set[str] = set()
        self._pending: dict[str, ActionTold] = {}

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self._pending)

    @property
    def settled(self) -> Set[str]:
        """Keys of those that were carried out or dropped."""
        return self._settled

    def take_up(self, settled: Iterable[str]) -> None:
        """Never carry out what was carried out before."""
        self._settled.update(settled)

    def remember(self, entry: Entry) -> None:
        """Follow which actions the journal announces."""
        if entry.WhichOneof("event") == "action_ordered":
            self._ordered.add(entry.action_ordered.key)

    def add(self, action: ActionTold) -> None:
        """Take an action; raise OutOfOrder if the journal does not announce it."""
        if action.key not in self._ordered:
            raise OutOfOrder(
                "action.key", "is not in the journal", reason="NOT_JOURNALLED", key=action.key
            )
        if action.key not in self._settled:
            self._pending.setdefault(action.key, action)

    def drop_behind(self, offset: int) -> None:
        """Forget those that wait for something behind `offset`: it will not be said."""
        for action in list(self._pending.values()):
            if action.after_offset > offset:
                self._settle(action)

    def due(self, played: int) -> list[ActionTold]:
        """Return those to be carried out now, in order; they are never returned again."""
        found = [each for each in self._pending.values() if each.after_offset <= played]
        for action in found:
            self._settle(action)
        return found

    def _settle(self, action: ActionTold) -> None:
        del self._pending[action.key]
        self._settled.add(action.key)
