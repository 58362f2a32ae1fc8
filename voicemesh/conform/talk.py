"""One stream to whatever is judged: every wait has a limit, and every surprise a name."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.errors import error_info

if TYPE_CHECKING:
    from collections.abc import Iterable


class Broken(Exception):
    """What an implementation does against the contract."""


@dataclass(frozen=True)
class Subject:
    """What is judged, and how."""

    channel: grpc.aio.Channel
    engine: str
    """Name that requests carry."""
    rate: int
    """Samples per second: 8000 or 16000."""
    language: str
    seconds: float
    """How long any one answer may take."""
    speech: bytes
    """LINEAR16 at that rate, that recognisers get."""
    secret: str = ""
    """What a brain knows orchestrators by; empty: nothing."""

    @property
    def format(self) -> audio_pb2.AudioFormat:
        """The form of the audio."""
        return linear16(self.rate)


def linear16(rate: int) -> audio_pb2.AudioFormat:
    """Return the form of 16-bit audio."""
    return audio_pb2.AudioFormat(encoding=audio_pb2.ENCODING_LINEAR16, sample_rate_hertz=rate)


@dataclass(frozen=True)
class Ending:
    """How a stream ended."""

    code: grpc.StatusCode
    text: str
    reason: str
    field: str


class Talk:
    """A stream; messages are those of its service."""

    def __init__(self, call: Any, seconds: float) -> None:  # noqa: ANN401 - any service's call
        self._call = call
        self._seconds = seconds
        self._begun = False

    async def send(self, *requests: Any) -> None:  # noqa: ANN401 - messages of any service
        """Send; what is sent to a stream that has ended is lost, and its end says why."""
        for request in requests:
            if self._call.done():
                return
            if not self._begun:
                self._begun = True
                with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
                    await self._within(self._call.write(request), "it takes no stream")
                continue
            # The public `write` answers a send that failed by overwriting the status with which the
            # server had just ended the stream (as in `voicemesh.client.line`).
            sending = self._call._cython_call.send_serialized_message(request.SerializeToString())
            with suppress(grpc.aio.InternalError, asyncio.InvalidStateError):
                await self._within(sending, "it reads nothing any more")

    async def close(self) -> None:
        """Half-close."""
        if not self._call.done():
            with suppress(grpc.aio.InternalError, asyncio.InvalidStateError, grpc.aio.AioRpcError):
                await self._call.done_writing()

    async def next(self) -> Any:  # noqa: ANN401 - any service's response
        """Return the next message, or None behind the last; raise Broken on an error."""
        try:
            message = await self._within(self._call.read(), "it answers nothing")
        except grpc.aio.AioRpcError as error:
            raise Broken(f"ends with {error.code().name}: {error.details()}") from None
        if message is not grpc.aio.EOF:
            return message
        await self._ended_well()
        return None

    async def rest(self) -> list[Any]:
        """Return all messages up to the end."""
        found: list[Any] = []
        while (message := await self.next()) is not None:
            found.append(message)
        return found

    async def _ended_well(self) -> None:
        code = await self._within(self._call.code(), "it does not end")
        if code is not grpc.StatusCode.OK:
            raise Broken(f"ends with {code.name}: {await self._call.details()}")

    async def ending(self) -> Ending:
        """Read to the end, whatever comes, and return how that is."""
        try:
            while await self._within(self._call.read(), "it neither answers nor ends") is not (
                grpc.aio.EOF
            ):
                pass
            code = await self._within(self._call.code(), "it does not end")
            return Ending(code, await self._call.details() or "", "", "")
        except grpc.aio.AioRpcError as error:
            reason, details = error_info(error)
            return Ending(error.code(), error.details() or "", reason, details.get("field", ""))

    def cancel(self) -> None:
        """Leave."""
        self._call.cancel()

    async def _within(self, awaited: Any, problem: str) -> Any:  # noqa: ANN401 - whatever it gives
        try:
            async with asyncio.timeout(self._seconds):
                return await awaited
        except TimeoutError:
            self._call.cancel()
            raise Broken(f"{problem} for {self._seconds:g} s") from None


def kind(message: Any) -> str:  # noqa: ANN401 - any service's response
    """Return which of the oneof a message is."""
    return str(message.WhichOneof("message"))


def kinds(messages: Iterable[Any]) -> list[str]:
    """Return which of the oneof each message is."""
    return [kind(message) for message in messages]


def demand(holds: object, problem: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(problem)


async def refused(talk: Talk, code: grpc.StatusCode, field: str = "") -> None:
    """Demand that a stream ends with this status, and that the field is named."""
    found = await talk.ending()
    demand(
        found.code is code,
        f"ends with {found.code.name} instead of {code.name}: {found.text or 'no words'}",
    )
    named = field in (found.field or found.text)
    demand(named, f"{code.name} does not name the field {field!r}, but says {found.text!r}")


def fail(problem: str) -> NoReturn:
    """Raise Broken."""
    raise Broken(problem)
