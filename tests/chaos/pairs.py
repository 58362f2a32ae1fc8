"""Takes note of which events reach the machines of a call in which states."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.call import Call
from gateway.link_state import LinkState
from gateway.playout import Playout
from orchestrator.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pairs: TypeAlias = set[tuple[Any, Any]]

PLAYOUT = ("add", "tick", "hold", "release", "pause", "resume", "flush")
"""What may be done to a playout."""
BOT = ("judged", "thinking", "speaking", "heard", "silent")
"""What the bot does: waits for a barge-in to be judged, works out an answer, has sentences without
sound, is heard, or none of that."""


def bot_state(conversation: Conversation) -> str:
    floor = conversation._floor
    if floor._barge_in:
        return "judged"
    if conversation._thinking.turn:
        return "thinking"
    if not conversation._speaking.idle:
        return "speaking"
    return "heard" if floor.bot_has_it else "silent"


@contextmanager
def calls() -> Iterator[Pairs]:
    """Yield what comes to hold of (phase, event) of calls."""
    with _noting(Call, "handle", lambda call, event, _: (call.phase, type(event))) as pairs:
        yield pairs


@contextmanager
def links() -> Iterator[Pairs]:
    """Yield the same of links."""
    with _noting(LinkState, "handle", lambda link, event, _: (link.phase, type(event))) as pairs:
        yield pairs


@contextmanager
def playouts() -> Iterator[Pairs]:
    """Yield the same of playouts; what is done to them stands for events."""
    pairs: Pairs = set()
    with ExitStack() as stack:
        for name in PLAYOUT:
            key = _named(name)
            pairs_of_one = stack.enter_context(_noting(Playout, name, key, pairs))
            assert pairs_of_one is pairs
        yield pairs


@contextmanager
def conversations() -> Iterator[tuple[Pairs, Pairs, Pairs]]:
    """Yield (phase of the caller, event), (state of the bot, event), (state of the bot, timer)."""
    with (
        _noting(Conversation, "handle", lambda c, event, _: (c._hearing.phase, type(event))) as ear,
        _noting(Conversation, "handle", lambda c, event, _: (bot_state(c), type(event))) as mouth,
        _noting_timers() as timers,
    ):
        yield ear, mouth, timers


def _named(name: str) -> Callable[..., tuple[Any, Any]]:
    return lambda playout, *_: (playout.state, name)


@contextmanager
def _noting(
    machine: type, method: str, key: Callable[..., tuple[Any, Any]], pairs: Pairs | None = None
) -> Iterator[Pairs]:
    noted: Pairs = set() if pairs is None else pairs
    original = getattr(machine, method)

    def wrapped(self: object, *arguments: object) -> object:
        noted.add(key(self, *arguments))
        return original(self, *arguments)

    setattr(machine, method, wrapped)
    try:
        yield noted
    finally:
        setattr(machine, method, original)


@contextmanager
def _noting_timers() -> Iterator[Pairs]:
    pairs: Pairs = set()
    original = Conversation._timers

    def wrapped(self: Conversation) -> dict[str, Callable[[], object]]:
        def noting(name: str, do: Callable[[], object]) -> Callable[[], object]:
            def due() -> object:
                pairs.add((bot_state(self), name))
                return do()

            return due

        return {name: noting(name, do) for name, do in original(self).items()}

    Conversation._timers = wrapped  # type: ignore[method-assign]
    try:
        yield pairs
    finally:
        Conversation._timers = original  # type: ignore[method-assign]
