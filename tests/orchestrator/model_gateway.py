"""A gateway to try conversations on: keeps what the contract says it must, plays in virtual time.

It is strict: whatever an orchestrator sends that breaks the session protocol fails the test here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from orchestrator import commands, events
from voicemesh.journal import Journal, fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.orchestrator.clock import Clock
    from voicemesh.audio import Samples

RATE = 8000
FRAME_SECONDS = 0.06
PRE_ROLL_SECONDS = 0.3
NOTICE_START_SECONDS = 0.06
NOTICE_END_SECONDS = 0.2
WORD_SECONDS = 0.3
REPORT_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0


class Located(Protocol):
    @property
    def offset(self) -> int: ...


Trace: TypeAlias = "Callable[[str, str], None]"


class Word:
    """A word that the caller says, at its place in the caller's direction."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text, self.start, self.end = text, start, end


class Playout:
    """Plays what it holds in real time; offsets are the bot's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.samples: Samples = np.empty(0, np.int16)
        self.silenced: list[tuple[int, int]] = []
        """Ranges that were never played."""
        self.paused = False
        self._played = 0
        self._since: float | None = None

    @property
    def held(self) -> int:
        return self.samples.size

    @property
    def playing(self) -> bool:
        return self._since is not None and self.heard < self.held

    @property
    def heard(self) -> int:
        if self._since is None:
            return self._played
        # The small term keeps an exact number of samples from being one less as a float.
        passed = int((self._clock.now - self._since) * RATE + 1e-3)
        return min(self._played + passed, self.held)

    @property
    def ends(self) -> float:
        """When all will have been played."""
        return self._clock.now + (self.held - self.heard) / RATE + 1e-6

    def add(self, offset: int, samples: Samples) -> None:
        assert offset == self.held, f"audio at {offset}, but {self.held} comes next"
        if not self.playing:
            self._rest()
        self.samples = np.concatenate((self.samples, samples))
        self._start()

    def pause(self) -> None:
        self._rest()
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        if self._since is None:
            self._start()

    def flush(self, start: int, end: int) -> None:
        assert start <= end, f"flush {start} to {end}"
        assert end >= self.held, f"flush up to {end} leaves audio up to {self.held}"
        start = max(start, self.heard)
        if start < end:
            self.silenced.append((start, end))
            gap = np.zeros(max(0, end - self.held), np.int16)
            self.samples = np.concatenate((self.samples, gap))
            self._since, self._played = None, end
        self.resume()

    def _start(self) -> None:
        if not self.paused and self._since is None and self._played < self.held:
            self._since = self._clock.now

    def _rest(self) -> None:
        self._played, self._since = self.heard, None


class ModelGateway:
    """One call's media leg, its journal, and what is not committed yet."""

    on_hold = False

    def __init__(self, clock: Clock, trace: Trace, *, barge_in: bool = True) -> None:
        self._clock = clock
        self._trace = trace
        self._barge_in = barge_in
        self.send: Callable[[events.Event], None] | None = None
        """Where events go while a session stands."""
        self.journal = Journal()
        self.playout = Playout(clock)
        self.words: list[Word] = []
        self.carried_out: list[tuple[str, str]] = []
        self.shown: list[commands.Show] = []
        self.reports: list[commands.Report] = []
        self.last_message = 0.0
        """When the last message was sent or came, playout apart."""
        self.speaking = False
        self.over = False
        self.deaf = False
        """Whether words may be lost: every recogniser is gone."""
        self.hasty = False
        """Whether the last words may be lost: recognisers fail, and nobody waits for long."""
        self.said_bye = False
        self.committed = self.received = 0
        self._outbox: list[events.Event] = []
        self._actions: dict[str, commands.Act] = {}
        self._settled: set[str] = set()
        self._last_event = -1
        self._said_until = 0
        self._state = ""
        self._noticed = False
        """Whether it is noticed that the caller speaks."""
        self._watch = 0

    # The session.

    @property
    def position(self) -> int:
        return int(self._clock.now * RATE + 1e-3)

    @property
    def still(self) -> bool:
        """Whether neither side is heard."""
        return not (self.speaking or self.playout.playing or self.playout.paused)

    def connect(self, send: Callable[[events.Event], None], wanted: int) -> None:
        self.send = send
        self.received = wanted
        self.last_message = self._clock.now
        if self.playout.paused:
            # The new session has as long as any other to judge what the caller said.
            self._watch_pause()
        for event in self._outbox:
            behind = _behind(event, wanted)
            if behind is not None:
                self.send(behind)
        self._show_playout(again=True)

    def disconnect(self) -> None:
        self.send = None

    # The caller.

    def caller_begins(self, text: str) -> None:
        """Say the words, one every 300 ms."""
        start = self.position
        size = int(WORD_SECONDS * RATE)
        for number, word in enumerate(text.split()):
            self.words.append(Word(word, start + number * size, start + (number + 1) * size))
        self._speaks(start, len(text.split()) * WORD_SECONDS)

    def caller_coughs(self, seconds: float) -> None:
        """Make a noise that is taken for speech."""
        self._speaks(self.position, seconds)

    def _speaks(self, start: int, seconds: float) -> None:
        self.speaking = True
        self._clock.after(NOTICE_START_SECONDS, lambda: self._notice_start(start))
        end = start + round(seconds * RATE)
        self._clock.after(seconds + NOTICE_END_SECONDS, lambda: self._notice_end(end))

    def caller_presses(self, digit: str) -> None:
        self._trace("caller", f"presses {digit}")
        self._report(lambda offset: events.DigitPressed(offset, digit))

    def application_asks(self, key: str, kind: str, argument: str = "") -> None:
        self._trace("application", f"{kind} {argument!r} ({key})")
        self._report(lambda offset: events.Commanded(offset, key, kind, argument))

    def call_ends(self, reason: str) -> None:
        if not self.over:
            if self._noticed:
                self._send_audio()
            self.over, self.speaking, self._noticed = True, False, False
            self._trace("gateway", f"call ends: {reason}")
            self._report(lambda offset: events.CallerGone(offset, reason))

    def _notice_start(self, start: int) -> None:
        if self.over:
            return
        interrupts = self._barge_in and self.playout.playing
        self._trace("caller", "begins to speak")
        self._report(lambda offset: events.SpeechStarted(offset, start))
        if interrupts:
            self.playout.pause()
            self._watch_pause()
            heard = self.playout.heard
            self._trace("gateway", f"pauses playout, heard {heard / RATE:.2f} s")
            self._report(lambda offset: events.BargedIn(offset, heard))
        self._show_playout()
        self._said_until = max(start - int(PRE_ROLL_SECONDS * RATE), self._said_until, 0)
        self._noticed = True
        self._hear()

    def _watch_pause(self) -> None:
        self._watch += 1
        watch = self._watch

        def check() -> None:
            stuck = self.playout.paused and self._watch == watch and self.send is not None
            assert not stuck, "playout was paused and nobody said what was to follow"

        self._clock.after(LONGEST_PAUSE_SECONDS, check)

    def _hear(self) -> None:
        """Send what was said since the last time, again and again until the end is noticed."""
        if self._noticed:
            self._send_audio()
            self._clock.after(FRAME_SECONDS, self._hear)

    def _send_audio(self) -> None:
        end = self.position
        while end > self._said_until:
            until = min(end, self._said_until + RATE)
            silence = b"\0\0" * (until - self._said_until)
            self._keep(events.AudioArrived(self._said_until, silence))
            self._said_until = until

    def _notice_end(self, end: int) -> None:
        if self.over:
            return
        self._send_audio()
        self.speaking = self._noticed = False
        self._trace("caller", "has stopped speaking")
        self._report(lambda offset: events.SpeechEnded(offset, end))
        self._said_until = max(self._said_until, self._last_event + 1)

    def _report(self, make: Callable[[int], events.Event]) -> None:
        self._last_event = max(self.position - 1, self._last_event + 1)
        self._keep(make(self._last_event))

    def _keep(self, event: events.Event) -> None:
        self._outbox.append(event)
        self.last_message = self._clock.now
        if self.send:
            self.send(event)

    # The orchestrator.

    def take_all(self, todo: list[commands.Command]) -> None:
        """Take one message's worth of what an orchestrator sent."""
        for command in todo:
            self.take(command)

    def take(self, command: commands.Command) -> None:
        """Take what an orchestrator sent."""
        self.last_message = self._clock.now
        match command:
            case commands.Write(entry):
                self.journal.append(entry)
            case commands.SendAudio(offset, data):
                self._must_be_planned()
                self.playout.add(offset, np.frombuffer(data, "<i2"))
            case commands.Act():
                self._must_be_ordered(command)
                if command.key not in self._settled:
                    self._actions[command.key] = command
            case commands.Ack(received, committed):
                self._acknowledged(received, committed)
            case _:
                self._take_word(command)
        self._show_playout()
        self._act()

    def _take_word(self, command: commands.Command) -> None:
        match command:
            case commands.Flush(start, end):
                for action in list(self._actions.values()):
                    if action.after_offset > start:
                        self._settle(action)
                self.playout.flush(start, end)
            case commands.PlayOn():
                self.playout.resume()
            case commands.Show():
                self.shown.append(command)
            case commands.Report():
                self.reports.append(command)
            case commands.Leave():
                self.said_bye = True

    def _must_be_planned(self) -> None:
        memory = fold(self.journal.entries)
        assert any(s.end_offset is None for s in memory.sentences.values()), "audio of no sentence"

    def _must_be_ordered(self, action: commands.Act) -> None:
        keys = [entry.action_ordered.key for entry in self.journal.entries]
        assert action.key in keys, f"{action} is not in the journal"

    def _acknowledged(self, received: int, committed: int) -> None:
        assert committed <= received, f"committed {committed} > received {received}"
        sent_until = max(self._said_until, self._last_event + 1)
        assert received <= max(sent_until, self.received), f"received {received} of {sent_until}"
        # A new session commits from its journal on; what was forgotten stays forgotten.
        self.received = max(received, self.received)
        self.committed = committed = max(committed, self.committed)
        kept = (_behind(event, committed) for event in self._outbox)
        self._outbox = [event for event in kept if event is not None]
        self._must_be_known(committed)

    def _must_be_known(self, committed: int) -> None:
        said = " ".join(e.caller_said.text for e in self.journal.entries if e.caller_said.text)
        due = [word.text for word in self.words if word.end <= committed]
        may_be_lost = self.deaf or (self.over and self.hasty)
        assert may_be_lost or said.split()[: len(due)] == due, (
            f"{due} committed, but the journal has {said!r}"
        )

    def _act(self) -> None:
        for action in list(self._actions.values()):
            if action.after_offset <= self.playout.heard:
                self._settle(action)
                self._trace("gateway", f"does {action.kind} {action.argument}".rstrip())
                self.carried_out.append((action.kind, action.argument))
                if action.kind != "send_digits":
                    self.call_ends("transferred" if action.kind == "transfer" else "bot_hung_up")

    def _settle(self, action: commands.Act) -> None:
        del self._actions[action.key]
        self._settled.add(action.key)

    def _show_playout(self, *, again: bool = False) -> None:
        playout = self.playout
        state = "paused" if playout.paused else "plays" if playout.playing else "idle"
        if state == self._state and not again:
            return
        self._state = state
        self._trace("gateway", f"{state} at {playout.heard / RATE:.2f} s")
        self._report_playout()
        if state == "plays":
            self._clock.at(playout.ends, self._played_out)
            self._clock.after(REPORT_SECONDS, self._still_playing)

    def _played_out(self) -> None:
        if self.playout.playing:
            self._clock.at(self.playout.ends, self._played_out)
        else:
            self._show_playout()
            self._act()

    def _still_playing(self) -> None:
        if self.playout.playing:
            self._report_playout()
            self._clock.after(REPORT_SECONDS, self._still_playing)

    def hold(self, on_hold: bool) -> None:
        """Let neither side hear the other, or end that."""
        self.on_hold = on_hold
        self._trace("gateway", "holds" if on_hold else "takes back")
        self._report_playout()

    def _report_playout(self) -> None:
        if self.send and not self.over:
            heard, held = self.playout.heard, self.playout.held
            report = events.PlayoutReported(self.position, heard, held, on_hold=self.on_hold)
            self.send(report)


def _behind(event: events.Event, offset: int) -> events.Event | None:
    """Return what of an event lies at or behind an offset."""
    if isinstance(event, events.AudioArrived):
        left = event.since(offset)
        return left if left.data else None
    located: Located = event  # type: ignore[assignment]
    return event if located.offset >= offset else None
