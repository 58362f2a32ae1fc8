"""A caller with a script: says, waits, interrupts, presses keys and hangs up as it is told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from voicemesh.errors import DeadlineMissed, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from voicemesh.audio import AudioFormat, Samples
    from voicemesh.client.events import Turn
    from voicemesh.client.mouth import CallerClock, Utterance
    from voicemesh.client.playback import Playback
    from voicemesh.client.speaker import Speaker

QUIET_SECONDS = 0.7
REPLY_SECONDS = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Say:
    """Say words; `voiced` gives them their sound."""

    text: str
    """The words."""
    samples: Samples | None = None
    """Their sound, at the caller's rate."""


@dataclass(frozen=True, slots=True, eq=False)
class Play:
    """Say a recording."""

    samples: Samples
    """The sound, at the caller's rate."""
    name: str = ""
    """What it is, for messages."""


@dataclass(frozen=True, slots=True)
class AwaitReply:
    """Wait until the bot has answered what was said last, and has stopped speaking."""

    quiet_seconds: float = QUIET_SECONDS
    """How long it must have been silent."""
    deadline_seconds: float = REPLY_SECONDS
    """How long it may be silent before its first sound; then DeadlineMissed is raised."""
    required: bool = True
    """Whether it must answer; if not, the script goes on at the deadline."""


@dataclass(frozen=True, slots=True, eq=False)
class Interrupt:
    """Speak into the bot's answer."""

    speech: Say | Play
    """What is said."""
    after_seconds: float = 1.0
    """How long the bot has been speaking by then."""
    deadline_seconds: float = REPLY_SECONDS
    """How long it may be silent before its first sound; then DeadlineMissed is raised."""


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys."""

    digits: str
    """Which."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for a while."""

    seconds: float
    """How long."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


Step: TypeAlias = Say | Play | AwaitReply | Interrupt | Press | Pause | HangUp


async def voiced(steps: Iterable[Step], speaker: Speaker, fmt: AudioFormat) -> list[Step]:
    """Return the steps with the sound of all words, so that no synthesis delays the call."""
    return [await _voiced(step, speaker, fmt) for step in steps]


async def _voiced(step: Step, speaker: Speaker, fmt: AudioFormat) -> Step:
    if isinstance(step, Interrupt) and isinstance(step.speech, Say):
        return replace(step, speech=await _with_sound(step.speech, speaker, fmt))
    if isinstance(step, Say):
        return await _with_sound(step, speaker, fmt)
    return step


async def _with_sound(step: Say, speaker: Speaker, fmt: AudioFormat) -> Say:
    if step.samples is not None:
        return step
    return replace(step, samples=await speaker.speak(step.text, fmt))


class OnCall(Protocol):
    """A call that a script can be carried out in, whatever it goes over."""

    clock: Callable[[], float]
    sent: CallerClock
    turns: list[Turn]

    @property
    def playback(self) -> Playback:
        """Return what the caller hears."""

    @property
    def over(self) -> bool:
        """Return whether it has ended."""

    def say(self, samples: Samples, /) -> Awaitable[Utterance]:
        """Queue speech."""

    def dtmf(self, digits: str, /) -> None:
        """Press keys."""

    def hang_up(self) -> None:
        """End it."""

    async def wait_ended(self) -> object:
        """Return at its end."""

    async def change(self, seconds: float | None = None, /) -> None:
        """Return when something happened."""


async def perform(call: OnCall, steps: Sequence[Step]) -> None:
    """Carry out the steps; stop early, and quietly, if the call ends before them."""
    performer = Performer(call)
    for step in steps:
        if call.over:
            return
        await performer.perform(step)


class Performer:
    """Carries out one step after another; remembers since when an answer is due."""

    def __init__(self, call: OnCall) -> None:
        self._call = call
        self._since = call.clock()

    async def perform(self, step: Step) -> None:
        """Carry out one step; return early if the call ends."""
        match step:
            case Say() | Play():
                await self._say(step)
            case AwaitReply():
                await self._await_reply(step)
            case Interrupt():
                await self._await_start(step.deadline_seconds)
                await self._await_audible(step.after_seconds)
                await self._say(step.speech)
            case Press():
                self._call.dtmf(step.digits)
                self._since = self._call.clock()
            case Pause():
                await asyncio.sleep(step.seconds)
            case HangUp():
                self._call.hang_up()
                await self._call.wait_ended()

    async def _say(self, step: Say | Play) -> None:
        samples = step.samples
        if samples is None:
            raise InvalidInput("script", f"the words {step!r} have no sound yet: see `voiced`")
        utterance = await self._call.say(samples)
        sent_at = self._call.sent.sent_at(utterance.speech_end)
        self._since = self._call.clock() if sent_at is None else sent_at

    async def _await_reply(self, step: AwaitReply) -> None:
        try:
            await self._await_start(step.deadline_seconds)
        except DeadlineMissed:
            if step.required:
                raise
        await self._await_quiet(step.quiet_seconds)

    def _answered(self) -> bool:
        call = self._call
        heard = call.playback.first_heard_after(self._since) is not None
        return heard or any(turn.arrived >= self._since for turn in call.turns[-1:])

    async def _await_start(self, seconds: float) -> None:
        call, deadline = self._call, self._call.clock() + seconds
        while not (self._answered() or call.over):
            left = deadline - call.clock()
            if left <= 0:
                raise DeadlineMissed(f"the bot did not speak within {seconds:g} s", limit=seconds)
            await call.change(left)

    async def _await_quiet(self, seconds: float) -> None:
        call = self._call
        while not call.over:
            left = call.playback.audible_until + seconds - call.clock()
            if left <= 0:
                return
            await call.change(left)

    async def _await_audible(self, seconds: float) -> None:
        """Return once the answer has been heard for so long, or is over already."""
        call = self._call
        started = call.playback.first_heard_after(self._since) or call.clock()
        while not call.over and call.clock() < started + seconds:
            await call.change(started + seconds - call.clock())
