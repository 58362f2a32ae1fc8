"""Which engine does a thing: one mechanism for all three senses, without I/O.

A bot's list is its order of preference. The first entry whose circuit is closed begins; when it
fails or is silent past its deadline, the next one gets everything that is not done yet. One that is
merely slow may be hedged: the next starts beside it, and whoever has a first result goes on. An
engine that was out of use is probed beside another, so that no caller waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from orchestrator.commands import Blame, Note, Outcome
from orchestrator.course import EntryT, KeyT, Runner
from orchestrator.standing import Circuit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.course import Course, Door
    from orchestrator.ledger import Ledger

GIVE_UP_SECONDS = 8.0
"""How long after the need arose engines are still tried that may come back."""
PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds between attempts once every engine has failed; the last one repeats. Short at first: a
replica that is starting, or unhurt and about to be found again, is there within moments."""


class Race(Generic[EntryT, KeyT]):
    """Runs engines for one thing after the other: an utterance, an answer, a reply."""

    def __init__(
        self, course: Course[EntryT], ledger: Ledger, timer: str, door: Door[EntryT, KeyT]
    ) -> None:
        """``timer``: the ledger's deadline at which ``tick`` is to be called."""
        self._course = course
        self._ledger = ledger
        self._timer = timer
        self._door = door
        self._live: dict[KeyT, Runner[EntryT, KeyT]] = {}
        self._stragglers: dict[KeyT, Runner[EntryT, KeyT]] = {}
        """Probes that nobody needs any more, until they have shown whether they work."""
        self._order: list[int] = []
        self._reset()

    def _reset(self) -> None:
        self._turn = 0
        """Place in the order of the engine that is next."""
        self._begun = self._failures = 0
        self._hope = False
        self._winner: KeyT | None = None
        self._since: float | None = None
        self._hedge: float | None = None
        self._pause: float | None = None

    # What the owner asks.

    @property
    def choice(self) -> EntryT:
        """The engine that is at it, or whose turn it is."""
        leader = self._leader
        return leader.entry if leader else self._next

    @property
    def won(self) -> bool:
        """Whether there was a first result."""
        return self._winner is not None

    @property
    def pausing(self) -> bool:
        """Whether the next attempt is waited with."""
        return self._pause is not None

    @property
    def running(self) -> bool:
        """Whether an engine is at it."""
        return self._leader is not None

    def runners(self) -> list[KeyT]:
        """Return whom further work goes to: the winner, or all while there is none."""
        return list(self._live)

    def has(self, key: KeyT) -> bool:
        """Whether something may still come of this one."""
        return key in self._live or key in self._stragglers

    def leads(self, key: KeyT) -> bool:
        """Whether what comes of this one counts, even if it is no result yet."""
        leader = self._leader
        return leader is not None and leader.key == key

    # What happens.

    def begin(self) -> None:
        """Begin something new."""
        self.stop()
        self._order, probed = self._course.order()
        self._open()
        self._probe_one(probed)

    def wait(self) -> None:
        """Expect a first result from now on; before that no engine is late, and none the last."""
        if self._since is None:
            self._since = self._ledger.now
            if self._winner is None:
                self._course.budget.asked()
                self._plan_hedge()
        for runner in self._live.values():
            runner.expect(self._ledger.now)
        self._set_timer()

    def result(self, key: KeyT) -> bool:
        """Take note of a result; return whether it counts: another one may have been first."""
        runner = self._live.get(key)
        if runner is None:
            self._late_result(key)
            return False
        self._worked(runner)
        if self._winner is None:
            self._win(runner)
        if runner.due is not None:
            runner.due = self._ledger.now + runner.entry.between
            self._set_timer()
        return True

    def settle(self) -> None:
        """Expect nothing for now: all results are there."""
        self._since = self._hedge = None
        for runner in self._live.values():
            runner.due = None
        self._set_timer()

    def renew(self) -> None:
        """Go on with a further thing, at the engine that works now."""
        self._failures, self._hope, self._since = 0, False, None
        winner = self._live.get(self._winner) if self._winner is not None else None
        if winner:
            self._turn = self._order.index(winner.place) + 1
            self._begun = 1

    def failed(
        self, key: KeyT, problem: str, *, lasting: bool = False, missed: bool = False
    ) -> bool:
        """Take note that one is gone; return False if nobody is left.

        ``lasting``: trying the same engine again cannot help. ``missed``: it was silent too long.
        """
        runner = self._live.pop(key, None) or self._stragglers.pop(key, None)
        if runner is None:
            return True
        now = self._ledger.now
        standing = self._course.standing(runner.entry)
        standing.failed(now, began=runner.began, missed=missed)
        self._note(runner, Outcome.MISSED if missed else Outcome.FAILED)
        self._ledger.emit(Blame(self._course.sense, runner.entry.name, problem))
        self._door.close(key)
        needed = not runner.probe
        if self._winner == key:
            self._winner = None
        going_on = self._go_on(lasting=lasting) if needed else True
        self._set_timer()
        return going_on

    def unsatisfied(self, key: KeyT, *, to_blame: bool) -> bool:
        """Ask an engine that was not asked yet instead; return False if there is none.

        ``to_blame``: there was something to be found, so that one found too little is its fault.
        """
        runner = self._live.get(key)
        if runner is None or self._begun >= len(self._course.entries):
            return False
        del self._live[key]
        if to_blame:
            standing = self._course.standing(runner.entry)
            standing.failed(self._ledger.now, began=runner.began, missed=False)
        self._note(runner, Outcome.EMPTY)
        self._door.close(key)
        if self._winner == key:
            self._winner = None
        if not self._promote():
            self._open()
        self._set_timer()
        return True

    def tick(self) -> bool:
        """Do what has fallen due; return False if nobody is left."""
        now = self._ledger.now
        if self._pause is not None and self._pause <= now:
            self._pause = None
            self._open()
        if self._hedge is not None and self._hedge <= now:
            self._hedge = None
            self._hedge_if_allowed()
        going_on = True
        for runner in [*self._live.values(), *self._stragglers.values()]:
            if runner.due is not None and runner.due <= now and self.has(runner.key):
                problem = f"silent for {runner.limit:g} s"
                going_on &= self.failed(runner.key, problem, missed=True)
        self._set_timer()
        return going_on

    def finish(self) -> None:
        """Be done: the winner has ended by itself."""
        if self._winner is not None:
            del self._live[self._winner]
        self.stop()

    def stop(self) -> None:
        """Let everybody go, but probes that are expected to answer."""
        live, self._live = self._live, {}
        for runner in live.values():
            self._dismiss(runner)
        self._reset()
        self._set_timer()

    def _dismiss(self, runner: Runner[EntryT, KeyT]) -> None:
        if runner.probe and runner.due is not None:
            self._stragglers[runner.key] = runner
        else:
            self._door.close(runner.key)

    # Who runs.

    @property
    def _leader(self) -> Runner[EntryT, KeyT] | None:
        if self._winner is not None:
            return self._live[self._winner]
        return next((runner for runner in self._live.values() if not runner.probe), None)

    @property
    def _next(self) -> EntryT:
        order = self._order or range(len(self._course.entries))
        return self._course.entries[order[self._turn % len(order)]]

    def _open(self) -> None:
        place = self._order[self._turn % len(self._order)]
        self._turn += 1
        self._begun += 1
        self._run(place)

    def _run(self, place: int, *, probe: bool = False) -> None:
        entry = self._course.entries[place]
        key = self._door.open(entry)
        runner = Runner(key, place, entry, self._ledger.now, probe)
        self._live[key] = runner
        if self._since is not None:
            runner.expect(self._ledger.now)
            self._set_timer()

    def _probe_one(self, places: Sequence[int]) -> None:
        for place in places:
            if self._course.standing(self._course.entries[place]).probe(self._ledger.now):
                self._run(place, probe=True)
                return

    def _win(self, winner: Runner[EntryT, KeyT]) -> None:
        self._winner, self._hedge = winner.key, None
        winner.probe = False
        others = [runner for runner in self._live.values() if runner is not winner]
        self._live = {winner.key: winner}
        for runner in others:
            if not runner.probe:
                self._course.standing(runner.entry).lost(runner.took(self._ledger.now))
                self._note(runner, Outcome.LOST)
            self._dismiss(runner)

    def _worked(self, runner: Runner[EntryT, KeyT]) -> None:
        if not runner.resulted:
            runner.resulted = True
            seconds = runner.took(self._ledger.now)
            self._course.standing(runner.entry).worked(seconds)
            self._note(runner, Outcome.WORKED, seconds)

    def _late_result(self, key: KeyT) -> None:
        runner = self._stragglers.pop(key, None)
        if runner:
            self._worked(runner)
            self._door.close(key)
            self._set_timer()

    def _note(
        self, runner: Runner[EntryT, KeyT], outcome: Outcome, seconds: float | None = None
    ) -> None:
        circuit = self._course.standing(runner.entry).circuit
        broken = circuit is Circuit.OPEN
        note = Note(self._course.sense, runner.entry.name, outcome, seconds, broken)
        self._ledger.emit(note)

    # When one is gone.

    def _go_on(self, *, lasting: bool) -> bool:
        self._hope = self._hope or not lasting
        self._failures += 1
        if self._leader or self._promote():
            return True
        pause = self._pause_seconds()
        if pause is None:
            return False
        if pause:
            self._pause = self._ledger.now + pause
        else:
            self._open()
        return True

    def _promote(self) -> bool:
        """Let a probe that is under way do what is needed."""
        for runner in self._live.values():
            runner.probe = False
            return True
        return False

    def _pause_seconds(self) -> float | None:
        """Return how long the next attempt is to be waited with; None: give up.

        Each engine is tried at once when the one before it failed, the first a second time. After
        that attempts go on with pauses as long as any failure was of the kind that passes (a
        replica is starting, or full), but not for ever.
        """
        extra = self._failures - len(self._course.entries) - 1
        if extra < 0:
            return 0.0
        waited = 0.0 if self._since is None else self._ledger.now - self._since
        if not self._hope or waited >= GIVE_UP_SECONDS:
            return None
        return PAUSES[min(extra, len(PAUSES) - 1)]

    # When something is due.

    def _plan_hedge(self) -> None:
        leader = self._leader
        slow = self._course.standing(leader.entry).latency.slow() if leader else None
        if slow is not None and leader and slow < leader.entry.deadline_seconds:
            self._hedge = self._ledger.now + slow

    def _hedge_if_allowed(self) -> None:
        alone = self._winner is None and len(self._live) == 1
        untried = self._begun < len(self._order)
        usable = self._course.usable(self._order[self._turn % len(self._order)])
        if alone and untried and usable and self._course.budget.spend():
            self._open()
            self._note(next(reversed(self._live.values())), Outcome.HEDGED)

    def _dues(self) -> Iterator[float | None]:
        yield self._pause
        yield self._hedge
        for runner in self._live.values():
            yield runner.due
        for runner in self._stragglers.values():
            yield runner.due

    def _set_timer(self) -> None:
        due = min((due for due in self._dues() if due is not None), default=None)
        if due is None:
            self._ledger.clear_deadline(self._timer)
        else:
            self._ledger.set_deadline_at(self._timer, due)
