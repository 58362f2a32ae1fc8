"""One session: the shell around a conversation. Everything that waits is here."""

from __future__ import annotations

import asyncio
import enum
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator import commands, convert, events
from orchestrator.hops import Hops
from voicemesh import telemetry
from voicemesh.api.session.v1 import session_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from structlog.stdlib import BoundLogger

    from orchestrator.conversation import CallFacts, Conversation
    from orchestrator.senses import Ear, Mind, Voice
    from orchestrator.tools import Tools
    from voicemesh.bots import Bot
    from voicemesh.errors import Context

INBOX_LIMIT = 256
"""Events waiting; whoever brings more waits too."""

_log = telemetry.get_logger("session")


class Signal(enum.Enum):
    """What wakes a session besides events."""

    ALARM = "alarm"
    """Something is due."""
    LEFT = "left"
    """The gateway sends nothing more."""
    SUPERSEDED = "superseded"
    """A higher epoch owns the call."""


Item: TypeAlias = "events.Event | events.Served | Signal | Exception"


@dataclass(frozen=True, slots=True)
class Senses:
    """What one conversation hears, thinks, speaks and acts with."""

    ear: Ear
    mind: Mind
    voice: Voice
    tools: Tools


class Session:
    """Runs one conversation on one stream."""

    def __init__(
        self,
        conversation: Conversation,
        bot: Bot,
        senses: Senses,
        ready: session_pb2.Ready,
        facts: CallFacts,
    ) -> None:
        self._conversation = conversation
        self._bot = bot
        self._senses = senses
        self._ready = ready
        self._facts = facts
        self._inbox: asyncio.Queue[Item] = asyncio.Queue(INBOX_LIMIT)
        self._hops = Hops()
        self._tool_tasks: dict[str, asyncio.Task[None]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._bye = session_pb2.BYE_REASON_UNSPECIFIED
        self._do = self._senses_do()

    def supersede(self) -> None:
        """End: a higher epoch owns the call."""
        self._bye = session_pb2.BYE_REASON_SUPERSEDED
        self._wake(Signal.SUPERSEDED)

    async def ask_to_leave(self, seconds: float) -> None:
        """Have the gateway open elsewhere."""
        await self._inbox.put(events.DrainAsked(seconds))

    async def run(self, requests: AsyncIterator[session_pb2.RunRequest], context: Context) -> None:
        """Conduct the call until it ends, is handed over or superseded; raise on bad input."""
        reader = asyncio.create_task(self._read(requests))
        try:
            await context.write(session_pb2.RunResponse(ready=self._ready))
            await self._carry_out(self._conversation.start(now()), context)
            while not self._bye:
                self._set_alarm()
                await self._carry_out(self._handle(await self._inbox.get()), context)
            bye = session_pb2.Bye(reason=self._bye)
            await context.write(session_pb2.RunResponse(bye=bye))
        finally:
            reader.cancel()
            self._let_go()

    async def _read(self, requests: AsyncIterator[session_pb2.RunRequest]) -> None:
        try:
            async for request in requests:
                for each in convert.each(request):
                    await self._inbox.put(convert.event(each, self._facts.rate))
            await self._inbox.put(Signal.LEFT)
        except Exception as error:
            # Raised again by the session's own task.
            await self._inbox.put(error)

    def _handle(self, first: Item) -> list[commands.Command]:
        """Handle all that has come, so that what follows from it goes out together."""
        todo = self._handle_one(first)
        while not self._inbox.empty() and not self._bye:
            todo += self._handle_one(self._inbox.get_nowait())
        return todo

    def _handle_one(self, item: Item) -> list[commands.Command]:
        if self._bye == session_pb2.BYE_REASON_SUPERSEDED:
            # Another session conducts the call; this one must not act any more.
            return []
        match item:
            case Exception():
                raise item
            case Signal.LEFT:
                self._bye = self._bye or session_pb2.BYE_REASON_HANDED_OVER
                return []
            case Signal():
                return self._conversation.handle_timer(now())
            case events.Served():
                self._hops.note(item)
                return []
            case _:
                return self._conversation.handle(item, now())

    async def _carry_out(self, todo: list[commands.Command], context: Context) -> None:
        """Do what is to be done; no tool is called before the entry of it is on the stream.

        What the senses are asked for waits for nothing: it has no effect outside of this process
        until its answer is handled, and that is behind everything here.
        """
        for message in self._hops.take():
            await context.write(message)
        for_gateway: list[commands.Command] = []
        for command in todo:
            kind = type(command)
            if kind in convert.FOR_GATEWAY:
                for_gateway.append(command)
                continue
            if kind is commands.CallTool:
                await self._send(for_gateway, context)
                for_gateway = []
            self._do[kind](command)
        await self._send(for_gateway, context)

    async def _send(self, todo: list[commands.Command], context: Context) -> None:
        messages = convert.responses(todo)
        for message in convert.batched(messages) if self._facts.takes_batches else messages:
            await context.write(message)

    def _senses_do(self) -> dict[type, Callable[[Any], object]]:
        ear, mind, voice = self._senses.ear, self._senses.mind, self._senses.voice
        deliver = self._inbox.put
        return {
            commands.Listen: lambda command: ear.listen(command, deliver),
            commands.Hear: ear.hear,
            commands.Conclude: ear.conclude,
            commands.StopListening: ear.let_go,
            commands.Think: lambda command: mind.think(command, deliver),
            commands.StopThinking: mind.let_go,
            commands.Speak: lambda command: voice.speak(command, deliver),
            commands.Say: voice.say,
            commands.FinishSpeaking: voice.finish,
            commands.StopSpeaking: voice.let_go,
            commands.CallTool: self._call_tool,
            commands.CancelTool: self._cancel_tool,
            commands.Blame: self._blame,
            commands.Note: _note,
            commands.Leave: self._leave,
        }

    def _leave(self, _: commands.Leave) -> None:
        self._bye = self._bye or session_pb2.BYE_REASON_CALL_ENDED

    def _blame(self, command: commands.Blame) -> None:
        telemetry.ENGINE_FAILURES.labels(command.sense, command.engine).inc()
        self._turn_log().warning(
            "an engine failed",
            sense=command.sense,
            engine=command.engine,
            problem=command.problem,
        )

    def _turn_log(self) -> BoundLogger:
        turn = self._conversation.memory.turn
        return _log.bind(call_id=self._facts.call_id, turn=turn.number if turn else 0)

    def _call_tool(self, command: commands.CallTool) -> None:
        task = asyncio.create_task(self._run_tool(command, self._turn_log()))
        self._tool_tasks[command.key] = task
        task.add_done_callback(lambda _: self._tool_tasks.pop(command.key, None))

    def _cancel_tool(self, command: commands.CancelTool) -> None:
        task = self._tool_tasks.get(command.key)
        if task:
            task.cancel()

    async def _run_tool(self, command: commands.CallTool, log: BoundLogger) -> None:
        try:
            returned = await self._senses.tools.call(self._bot, command)
        except Exception as error:
            # A defect of ours must not leave the caller waiting for an answer that never comes.
            log.exception("a tool broke", tool=command.name, key=command.key)
            returned = events.ToolReturned(command.key, "", type(error).__name__)
        if returned.error:
            log.warning("a tool failed", tool=command.name, problem=returned.error)
        await self._inbox.put(returned)

    def _set_alarm(self) -> None:
        """Be woken when something falls due; one that comes too early is set anew by its round."""
        due = self._conversation.next_deadline
        if due is None or (self._alarm and self._alarm_at <= due):
            return
        if self._alarm:
            self._alarm.cancel()
        loop = asyncio.get_running_loop()
        self._alarm_at = due
        self._alarm = loop.call_later(max(0.0, due - now()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake(Signal.ALARM)

    def _wake(self, signal: Signal) -> None:
        # A full inbox wakes the session by itself.
        if not self._inbox.full():
            self._inbox.put_nowait(signal)

    def _let_go(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._senses.ear.stop_all()
        self._senses.mind.stop_all()
        self._senses.voice.stop_all()
        for task in list(self._tool_tasks.values()):
            task.cancel()


def _note(command: commands.Note) -> None:
    engine = command.sense, command.engine
    telemetry.ENGINE_ATTEMPTS.labels(*engine, command.outcome.value).inc()
    telemetry.ENGINE_BROKEN.labels(*engine).set(command.broken)
    if command.seconds is not None:
        telemetry.ENGINE_FIRST_SECONDS.labels(*engine).observe(command.seconds)


def now() -> float:
    """Return the clock of conversations, seconds."""
    # Not the loop's own: the fast one counts whole milliseconds.
    return time.monotonic()
