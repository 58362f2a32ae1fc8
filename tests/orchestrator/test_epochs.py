"""Who has a call, on one replica: of two openings the newer, whatever order they are read in."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from orchestrator.servicer import REMEMBERED_EPOCHS, Epochs

if TYPE_CHECKING:
    from orchestrator.session import Session

STATES = ("unknown", "standing", "over")
EVENTS = ("older epoch", "older attempt", "the same", "newer attempt", "newer epoch", "ends")
STEPS = {
    "older epoch": (-1, 9),
    "older attempt": (0, -1),
    "the same": (0, 0),
    "newer attempt": (0, 1),
    "newer epoch": (1, 0),
}


class Standing:
    """A session that notes whether it was told that it is none any more."""

    def __init__(self) -> None:
        self.superseded = False

    def supersede(self) -> None:
        self.superseded = True


class Fence:
    """A call on a replica: what is remembered of it, and who has it."""

    def __init__(self) -> None:
        self.epochs = Epochs()
        self.newest: tuple[int, int] | None = None
        self.holder: Standing | None = None
        self.ghosts: list[Standing] = []
        self.reached: set[tuple[str, str]] = set()

    @property
    def state(self) -> str:
        if self.newest is None:
            return "unknown"
        return "standing" if self.holder else "over"

    def happens(self, event: str) -> None:
        self.reached.add((self.state, event))
        if event == "ends":
            self._ends()
        else:
            epoch, attempt = self.newest or (5, 5)
            more_epoch, more_attempt = STEPS[event]
            self._claims((epoch + more_epoch, attempt + more_attempt))
        assert all(ghost.superseded for ghost in self.ghosts)
        assert self.holder is None or not self.holder.superseded

    def _claims(self, epoch: tuple[int, int]) -> None:
        session = Standing()
        won = self.epochs.claim("call", epoch, cast("Session", session))
        assert won is (self.newest is None or epoch >= self.newest)
        if won:
            if self.holder:
                self.ghosts.append(self.holder)
            self.newest, self.holder = epoch, session

    def _ends(self) -> None:
        ending = self.holder or Standing()
        self.epochs.release("call", cast("Session", ending))
        self.holder = None


def test_whatever_comes_the_newest_has_the_call() -> None:
    reached = set()
    for seed in range(100):
        chance, fence = Random(seed), Fence()  # noqa: S311 - no secret
        for _ in range(30):
            fence.happens(chance.choice(EVENTS))
        reached |= fence.reached
    assert reached == set(product(STATES, EVENTS))


def test_a_ghost_that_ends_leaves_the_call_to_its_successor() -> None:
    fence = Fence()
    fence.happens("newer epoch")
    ghost = fence.holder
    fence.happens("newer epoch")
    fence.epochs.release("call", cast("Session", ghost))
    fence.happens("newer epoch")
    assert len(fence.ghosts) == 2


@pytest.mark.parametrize(
    ("calls", "won"), [(REMEMBERED_EPOCHS - 1, False), (REMEMBERED_EPOCHS, True)]
)
def test_the_oldest_calls_are_forgotten_in_the_end(calls: int, won: bool) -> None:
    epochs = Epochs()
    assert epochs.claim("call", (2, 1), cast("Session", Standing()))
    for number in range(calls):
        epochs.claim(f"other-{number}", (1, 1), cast("Session", Standing()))
    assert epochs.claim("call", (1, 1), cast("Session", Standing())) is won
