"""One spoken conversation over every kind of leg: what each one's caller was understood to say.

What a phone says is known from the script; what the gateway understood is read from the call's
journal, which call control tells when a call ends.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from voicemesh.audio import AudioFormat, Encoding
from voicemesh.carriers.dialect import DialectSettings, Transport
from voicemesh.carriers.table import DIALECTS
from voicemesh.client import (
    AwaitReply,
    Call,
    Interrupt,
    Press,
    Say,
    perform,
    voiced,
)
from voicemesh.emulate import CarrierCall, Order, PhoneCall, natural_start, tells_keys
from voicemesh.errors import VoicemeshError
from voicemesh.evaluation.clips import Clip
from voicemesh.evaluation.score import count
from voicemesh.evaluation.speech import ClipResult
from voicemesh.evaluation.watch import watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from voicemesh.api.control.v1 import event_pb2
    from voicemesh.client import Speaker, Step
    from voicemesh.emulate.caller import EmulatedCaller
    from voicemesh.evaluation.score import Score
    from voicemesh.evaluation.watch import Watch

REFERENCE = "grpc"
"""The leg that the others are compared with."""
ALLOWED_POINTS = 2.0
"""So much worse, in percent of the words, may a leg be understood."""
KEYS = "42"
STORY: tuple[Step, ...] = (
    AwaitReply(),
    Say("Hello. What are your opening hours on Saturday?"),
    AwaitReply(),
    Say("I'd like to book an appointment for Tuesday at three in the afternoon."),
    AwaitReply(),
    Say("My name is Anna Miller."),
    AwaitReply(),
    Say("What should I bring to my first visit?"),
    Interrupt(Say("Sorry to interrupt. Is there parking at the practice?"), after_seconds=2.0),
    AwaitReply(),
    Press(f"{KEYS}#"),
    AwaitReply(),
    Say("No, that's everything. Thank you, goodbye."),
    AwaitReply(),
)
"""A caller of the bot `frontdesk`."""
BRIEF_STORY: tuple[Step, ...] = (
    Interrupt(Say("Sorry to interrupt. Is there parking at the practice?"), after_seconds=1.0),
    AwaitReply(),
    Press(f"{KEYS}#"),
    AwaitReply(),
    Say("No, that's everything. Thank you, goodbye."),
    AwaitReply(),
)
"""The least that has all of it: speech both ways, an interruption, keys, an end."""
PHONE = AudioFormat(Encoding.MULAW, 8000)
END_SECONDS = 20.0
"""How long the bot may take to hang up when all was said."""

Done = TypeVar("Done")
Placed: TypeAlias = (
    "AbstractAsyncContextManager[Call] | AbstractAsyncContextManager[EmulatedCaller]"
)


@dataclass(frozen=True, slots=True)
class Leg:
    """One way in."""

    name: str
    place: Callable[[], Placed]
    fmt: AudioFormat
    """What its caller speaks."""
    keys: bool = True
    """Whether keys can be pressed on it."""


@dataclass(slots=True)
class Held:
    """What came of one conversation."""

    leg: str
    said: str = ""
    """What the script says."""
    understood: str = ""
    """What the gateway wrote down."""
    interrupted: bool = False
    """Whether the bot was cut off."""
    keys: str = ""
    """What was pressed, as the gateway wrote it down."""
    keys_wanted: str = ""
    reason: str = ""
    """Why the call ended."""
    complaints: list[str] = field(default_factory=list)
    """What the carrier would have logged."""
    waits: list[float] = field(default_factory=list)
    """Seconds from the end of speech to the bot's answer, at the caller's end."""
    error: str = ""
    """Why it could not be held to its end; empty if it could."""

    @property
    def whole(self) -> bool:
        """Whether all of it happened that was to happen, whatever the words."""
        fine = self.interrupted and self.keys == self.keys_wanted and not self.complaints
        return fine and not self.error and self.reason == "bot_hung_up"


def legs(edge: str, bot: str, *, sip: str = "", audiosocket: str = "") -> list[Leg]:
    """Return every way to a bot: by gRPC, each carrier's and browsers' sockets, SIP.

    ``sip`` and ``audiosocket`` are HOST:PORT; without them these are left out.
    """
    found = [Leg(REFERENCE, lambda: Call.place(edge, bot=bot, caller_format=PHONE), PHONE)]
    for dialect in DIALECTS.values():
        target = edge if dialect.transport is Transport.WEBSOCKET else audiosocket
        if target:
            began = natural_start(dialect, DialectSettings())
            found.append(
                Leg(
                    dialect.name,
                    lambda dialect=dialect, target=target: CarrierCall.place(  # type: ignore[misc]
                        dialect, target, Order(bot=bot)
                    ),
                    began.sent,
                    tells_keys(dialect),
                )
            )
    if sip:
        found.append(Leg("sip", lambda: PhoneCall.place(sip, bot), PHONE))
    return found


async def hold(
    ways: Sequence[Leg], edge: str, bot: str, story: Sequence[Step], speaker: Speaker, at_once: int
) -> AsyncGenerator[Held, None]:
    """Yield each conversation when it is over, `at_once` at a time.

    Nobody else may call this bot meanwhile: which call is whose is told by when it begins.
    """
    places = asyncio.Semaphore(at_once)
    steps = {way.fmt: await voiced(story, speaker, way.fmt) for way in ways}
    async with watching(edge, bot) as watch:

        async def one(way: Leg) -> Held:
            async with places:
                own = [s for s in steps[way.fmt] if way.keys or not isinstance(s, Press)]
                return await _hold(way, own, watch)

        tasks = [asyncio.create_task(one(way)) for way in ways]
        try:
            for task in asyncio.as_completed(tasks):
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _hold(way: Leg, steps: Sequence[Step], watch: Watch) -> Held:
    held = Held(way.name, " ".join(_words(steps)), keys_wanted=KEYS if way.keys else "")
    try:
        async with AsyncExitStack() as stack:
            async with watch.lock:
                call: Call | EmulatedCaller = await stack.enter_async_context(way.place())
                # The bot speaks already.
                performing = _task(stack, perform(call, steps))
                ended = _task(stack, watch.end(await watch.newest()))
            await performing
            _note(held, await asyncio.wait_for(ended, END_SECONDS))
            held.waits = [answer.seconds for answer in call.answers()]
            if isinstance(call, CarrierCall):
                held.complaints = call.carrier.complaints
    except (VoicemeshError, TimeoutError) as error:
        held.error = str(error) or "the call did not end in time"
    return held


def _task(stack: AsyncExitStack, work: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
    task = asyncio.create_task(work)
    stack.callback(task.cancel)
    return task


def _words(steps: Sequence[Step]) -> list[str]:
    said = [step.speech if isinstance(step, Interrupt) else step for step in steps]
    return [step.text for step in said if isinstance(step, Say)]


def _note(held: Held, ended: event_pb2.Ended) -> None:
    held.reason = ended.reason
    entries = ended.journal
    held.understood = " ".join(e.caller_said.text for e in entries if e.HasField("caller_said"))
    held.keys = "".join(e.digits_pressed.digits for e in entries if e.HasField("digits_pressed"))
    held.interrupted = any(entry.HasField("reply_interrupted") for entry in entries)


def understood(helds: Sequence[Held], normalise: Callable[[str], str]) -> Score:
    """Count the words of some conversations."""
    results = [
        ClipResult(Clip(Path(held.leg), held.leg, "", held.said), held.understood, None)
        for held in helds
    ]
    return count(results, normalise)
