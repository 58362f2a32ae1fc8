"""The lines of one call, one after another: the shell around `resuming`.

Whatever the caller sends is kept first and read from there by the current line's sender, so a line
that takes the place of another begins where its gateway wants it to, and catches up.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voicemesh import errors
from voicemesh.api.call.v1 import call_pb2
from voicemesh.channel import FAR, addresses, open_channel
from voicemesh.client import resuming as state
from voicemesh.client.kept import Kept, Memory, Reader
from voicemesh.client.line import open_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio
    from google.protobuf.duration_pb2 import Duration

    from voicemesh.client.line import Line

FATAL = (
    errors.Denied,
    errors.InvalidInput,
    errors.NotFound,
    errors.Misconfigured,
    errors.Superseded,
)
"""After these a call is not resumed: another gateway would say the same, or somebody has it."""
LEAVE_SECONDS = 2.0
"""How long a gateway may take to end a line that was left."""
OPEN_BACKOFF_SECONDS = (0.05, 0.2, 0.8)
"""How long to wait after the first, second, ... attempt to begin a call that nobody took."""
SILENT_BEATS = 2
"""Heartbeats that a gateway may be late by before its line counts as broken."""


class LinesUser(Protocol):
    """The call."""

    def came(self, message: call_pb2.ConverseResponse) -> None:
        """Take a message of the gateway that holds the call."""

    def resumed(self, started: call_pb2.Started) -> None:
        """Take note that another gateway holds the call from now on."""

    def lost(self, error: errors.VoicemeshError) -> None:
        """Take note that no gateway will hold the call any more."""

    def standing(self) -> tuple[int, int, int]:
        """Return the caller's next offset, and how far the bot was heard and has arrived."""


@dataclass(slots=True, eq=False)
class _Held:
    """One line."""

    task: asyncio.Task[None]
    version: int
    line: Line | None = None
    started: call_pb2.Started | None = None
    reader: Reader | None = None
    sender: asyncio.Task[None] | None = None


class Lines:
    """What a call sends and receives by."""

    def __init__(
        self,
        target: str,
        start: call_pb2.Start,
        user: LinesUser,
        rate: int,
        clock: Callable[[], float],
    ) -> None:
        self.kept = Kept(rate)
        self._targets = addresses(target)
        self._target = target
        self._start = start
        self._user = user
        self._clock = clock
        self._memory = Memory()
        self._lines: dict[int, _Held] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._state: state.Resuming | None = None
        self._stands = asyncio.get_running_loop().create_future()
        self._more = asyncio.Event()
        self._failure: errors.VoicemeshError | None = None
        self._own: grpc.aio.Channel | None = None
        self._channel: grpc.aio.Channel | None = None

    async def open(self, channel: grpc.aio.Channel | None) -> call_pb2.Started:
        """Begin the call; raise what the gateway says against it.

        By `channel`, or else by connections of the call's own, one to each address. They stay open:
        a line that breaks is followed by one that has not to connect first.

        A stream that broke before the call stood is opened again: its gateway or edge may be gone,
        and others are there.
        """
        if channel is None:
            channel = self._own = open_channel(self._target, own_connection=True, watch=FAR)
        self._channel = channel
        for wait in OPEN_BACKOFF_SECONDS:
            with suppress(errors.Unavailable):
                return await self._begin()
            await asyncio.sleep(wait)
        return await self._begin()

    async def _begin(self) -> call_pb2.Started:
        self._stands = asyncio.get_running_loop().create_future()
        self._dial(0, self._target, self._start, self._channel)
        started: call_pb2.Started = await self._stands
        return started

    async def close(self) -> None:
        """Let go of every line."""
        held = list(self._lines.values())
        tasks = [each.task for each in held] + [each.sender for each in held if each.sender]
        tasks += self._leaving
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._own is not None:
            await self._own.close()

    def sent(self) -> None:
        """Take note that there is more to be sent: it was put into `kept`."""
        self._more.set()

    def tick(self) -> None:
        """Let time pass."""
        self._handle(state.Ticked(bound=not self._memory))

    def over(self) -> None:
        """Take note that the call has ended."""
        self._handle(state.CallOver())

    # One line.

    def _dial(
        self,
        number: int,
        target: str,
        start: call_pb2.Start,
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        task = asyncio.create_task(self._run(number, target, start, channel))
        self._lines[number] = _Held(task, self._memory.version)

    async def _run(
        self, number: int, target: str, start: call_pb2.Start, channel: grpc.aio.Channel | None
    ) -> None:
        error = None
        try:
            async with open_line(target, channel) as line:
                started = await line.start(start)
                self._stood(number, line, started)
                while (message := await line.receive()) is not None:
                    self._came(number, message)
        except errors.VoicemeshError as caught:
            error = caught
        except Exception as caught:
            # A mistake of ours must not leave the call waiting for ever.
            self._user.lost(errors.VoicemeshError(f"internal error: {type(caught).__name__}"))
            raise
        self._ended(number, error)

    def _stood(self, number: int, line: Line, started: call_pb2.Started) -> None:
        held = self._lines[number]
        held.line, held.started = line, started
        if self._state is None:
            self._state = state.Resuming(self._clock(), _silence(started))
            self._begin_to_send(held, Reader())
            self._stands.set_result(started)
        else:
            stale = held.version != self._memory.version
            self._handle(state.LineStood(number, stale, _silence(started)))

    def _came(self, number: int, message: call_pb2.ConverseResponse) -> None:
        if self._state is None or number != self._state.current:
            return
        self._handle(state.LineSpoke(number))
        match message.WhichOneof("message"):
            case "resume":
                self._remember(message.resume)
            case "go_away":
                self._handle(state.MoveAsked(_seconds(message.go_away.deadline)))
            case _:
                self._user.came(message)

    def _remember(self, resume: call_pb2.Resume) -> None:
        self._memory.take(resume.segment, restarts=resume.restarts)
        if self._state is not None and self._state.phase is state.Phase.UP:
            # Otherwise a line is being dialled that was told what can be sent again.
            self.kept.commit(resume.committed_offset, resume.committed_digits)

    def _ended(self, number: int, error: errors.VoicemeshError | None) -> None:
        held = self._lines.pop(number, None)
        if held is not None and held.sender is not None:
            held.sender.cancel()
        if self._state is None:
            if not self._stands.done():
                self._stands.set_exception(error or _broke_off())
            return
        if number == self._state.current:
            self._failure = error
        fatal: errors.VoicemeshError | None = error if isinstance(error, FATAL) else None
        if not self._memory:
            fatal = error or _broke_off()
        superseded = isinstance(error, errors.Superseded)
        self._handle(state.LineEnded(number, fatal, superseded))

    # What is sent.

    def _begin_to_send(self, held: _Held, reader: Reader) -> None:
        held.reader = reader
        assert held.line is not None  # noqa: S101 - it stands
        held.sender = asyncio.create_task(self._send(held.line, reader))

    async def _send(self, line: Line, reader: Reader) -> None:
        while not reader.stopped:
            message = self.kept.next(reader)
            if message is not None:
                await line.send(message)
            elif self.kept.closed:
                await line.half_close()
                return
            else:
                self._more.clear()
                await self._more.wait()
        await line.send(call_pb2.ConverseRequest(leave=call_pb2.Leave()))
        await line.half_close()

    # What the state machine wants.

    def _handle(self, event: state.Event) -> None:
        if self._state is None:
            return
        for command in self._state.handle(event, self._clock()):
            match command:
                case state.Dial(number, warm):
                    target = self._targets[number % len(self._targets)]
                    channel = self._channel if warm else None
                    self._dial(number, target, self._resumption(number), channel)
                case state.Drop(number):
                    self._drop(number)
                case state.Switch(number):
                    self._switch(number)
                case state.Leave(number):
                    self._leave(number)
                case state.GiveUp(error):
                    self._user.lost(error or self._failure or _broke_off())

    def _resumption(self, number: int) -> call_pb2.Start:
        caller_offset, heard_offset, arrived_offset = self._user.standing()
        start = call_pb2.Start()
        start.CopyFrom(self._start)
        start.resume.CopyFrom(
            call_pb2.Resumption(
                call_id=self._stands.result().call_id,
                segments=self._memory.segments,
                attempt=number,
                caller_offset=caller_offset,
                held_offset=min(self.kept.held_offset, caller_offset),
                heard_offset=heard_offset,
                arrived_offset=arrived_offset,
            )
        )
        return start

    def _switch(self, number: int) -> None:
        held = self._lines[number]
        assert held.started is not None  # noqa: S101 - it stands
        self._user.resumed(held.started)
        wanted, known = held.started.wanted_offset, held.started.known_digits
        self._begin_to_send(held, Reader(wanted, known))

    def _leave(self, number: int) -> None:
        held = self._lines[number]
        if held.reader is not None:
            held.reader.stopped = True
        self._more.set()
        task = asyncio.create_task(self._let_end(number, held.task))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _let_end(self, number: int, task: asyncio.Task[None]) -> None:
        await asyncio.wait({task}, timeout=LEAVE_SECONDS)
        self._drop(number)

    def _drop(self, number: int) -> None:
        held = self._lines.pop(number, None)
        if held is None:
            return
        if held.sender is not None:
            held.sender.cancel()
        if not held.task.done():
            held.task.cancel()
            self._leaving.add(held.task)
            held.task.add_done_callback(self._leaving.discard)


def _silence(started: call_pb2.Started) -> float | None:
    """Return how long nothing may come over a line, if its gateway promised anything."""
    return SILENT_BEATS * _seconds(started.heartbeat) or None


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _broke_off() -> errors.Unavailable:
    return errors.Unavailable("the call broke off", reason="BROKE_OFF")
