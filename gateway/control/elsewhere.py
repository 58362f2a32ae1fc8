"""Asks other gateways, by the mesh's Envoy, about calls that are not held here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from voicemesh.api.control.v1 import control_pb2_grpc
from voicemesh.callids import CALL_HEADER, ELSEWHERE_HEADER, OWNER_HEADER, SEARCH_HEADER
from voicemesh.channel import open_channel
from voicemesh.tenancy import passed_on

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from voicemesh.tls import Trust

LIVE = "live"
"""Only who holds a live call answers."""
KNOWN = "known"
"""Who remembers a call that ended, or is placing it, answers, too."""
ASK_SECONDS = 5.0
"""How long the others may take in all."""


class Elsewhere:
    """The way to the other gateways."""

    def __init__(self, target: str, trust: Trust | None = None) -> None:
        self._channel = open_channel(target, trust=trust)
        self._stub: Any = control_pb2_grpc.CallsServiceStub(self._channel)

    async def ask(
        self, method: str, request: Message, tag: str = "", depth: str = LIVE
    ) -> Message | None:
        """Return what the gateway answers that it concerns; None if there is none.

        ``tag`` asks one gateway only; ``depth`` is LIVE or KNOWN. Raises AioRpcError with that
        gateway's own error.
        """
        named = ((CALL_HEADER, f"call-{tag}"),) if tag else ()
        return await self._call(method, request, ((SEARCH_HEADER, depth), *named, *passed_on()))

    async def ask_owner(self, method: str, request: Message, key: str) -> Message | None:
        """Return what the owner of a key answers."""
        return await self._call(
            method, request, ((SEARCH_HEADER, KNOWN), (OWNER_HEADER, key), *passed_on())
        )

    async def watch(self, request: Message, tag: str = "") -> Any | None:  # noqa: ANN401 - a stream
        """Return the stream of a gateway that the request concerns; None if there is none."""
        named = ((CALL_HEADER, f"call-{tag}"),) if tag else ()
        stream = self._stub.WatchCalls(
            request, metadata=((SEARCH_HEADER, LIVE), *named, *passed_on())
        )
        # Sent as soon as the watch stands; a refusal has none, and is the end of the stream.
        await stream.initial_metadata()
        if not stream.done():
            return stream
        unknown = await stream.code() is grpc.StatusCode.UNIMPLEMENTED
        if unknown or not _concerned(await stream.trailing_metadata()):
            return None
        return stream

    async def close(self) -> None:
        """Close the way."""
        await self._channel.close()

    async def _call(
        self, method: str, request: Message, metadata: tuple[tuple[str, str], ...]
    ) -> Message | None:
        try:
            answer: Message = await getattr(self._stub, method)(
                request, timeout=ASK_SECONDS, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            # A mesh without a way to its gateways knows no such method.
            unknown = error.code() is grpc.StatusCode.UNIMPLEMENTED
            if unknown or not _concerned(error.trailing_metadata()):
                return None
            raise
        return answer


def _concerned(trailing: grpc.aio.Metadata | None) -> bool:
    return ELSEWHERE_HEADER not in dict(trailing or ())
