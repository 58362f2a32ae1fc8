"""What engines race for: the list that they are in, the door they come through, one at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from orchestrator.standing import Circuit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.standing import Budget, Standing, Standings


class Entry(Protocol):
    """An engine of a bot's list."""

    @property
    def name(self) -> str:
        """Name of the engine."""

    @property
    def deadline_seconds(self) -> float:
        """How long its first result may take."""

    @property
    def between(self) -> float:
        """How long each further result may take."""


EntryT = TypeVar("EntryT", bound=Entry)
EntryT_contra = TypeVar("EntryT_contra", bound=Entry, contravariant=True)
KeyT = TypeVar("KeyT")


class Door(Protocol[EntryT_contra, KeyT]):
    """Where a race has engines opened and closed."""

    def open(self, entry: EntryT_contra) -> KeyT:
        """Give an engine everything that is not done yet; return what its results will bear."""
        ...

    def close(self, key: KeyT) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True)
class Course(Generic[EntryT]):
    """What all races of one sense and one bot have in common."""

    sense: str
    entries: Sequence[EntryT]
    standings: Standings
    budget: Budget

    def standing(self, entry: EntryT) -> Standing:
        """Return what is known of an entry's engine."""
        return self.standings.of(self.sense, entry.name)

    def usable(self, place: int) -> bool:
        """Whether the engine at this place of the list is used in its turn."""
        return self.standing(self.entries[place]).circuit is Circuit.CLOSED

    def order(self) -> tuple[list[int], list[int]]:
        """Return the places of the list in the order of trying, and whom of them to probe beside.

        Those that are out of use come last; what is probed is preferred to all that are usable.
        """
        places = range(len(self.entries))
        usable = [place for place in places if self.usable(place)]
        shunned = [place for place in places if place not in usable]
        probed = [place for place in shunned if usable and place < usable[0]]
        return [*usable, *shunned], probed


@dataclass(slots=True)
class Runner(Generic[EntryT, KeyT]):
    """One engine at work."""

    key: KeyT
    place: int
    """Of its entry, in the list."""
    entry: EntryT
    began: float
    probe: bool = False
    """Whether it only shows whether it works again, unless it is needed."""
    asked: float | None = None
    """When a result was first waited for."""
    due: float | None = None
    """When it will have been silent for too long."""
    resulted: bool = False

    def expect(self, now: float) -> None:
        """Have its first result be due in time from now on."""
        if self.asked is None:
            self.asked = now
        self.due = now + self.entry.deadline_seconds

    def took(self, now: float) -> float:
        """Return for how long its first result has been waited for, seconds."""
        return now - (self.began if self.asked is None else self.asked)

    @property
    def limit(self) -> float:
        """How long it may be silent, seconds."""
        return self.entry.between if self.resulted else self.entry.deadline_seconds
