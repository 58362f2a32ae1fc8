"""Has a gRPC server answer only those who may speak to it; the one place where that is checked.

TLS has made sure that the peer's certificate is of our issuer and its key is the peer's. Here its
identity is looked at, before a handler sees anything of the request.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import grpc
import grpc.aio

from voicemesh import errors, telemetry
from voicemesh.errors import Denied
from voicemesh.identity import may_call
from voicemesh.tls import peer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voicemesh.errors import Context
    from voicemesh.tls import Trust

    _Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]

_URIS = "peer_uri"
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

_log = telemetry.get_logger("peers")


class PeersOnly(grpc.aio.ServerInterceptor):
    """Refuses whoever is not to speak to this process."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Put the check before a handler."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        kind = next(kind for kind in _KINDS if getattr(handler, kind) is not None)
        path = str(handler_call_details.method)
        guarded = self._guarded(getattr(handler, kind), path)
        return cast("_Handler | None", handler._replace(**{kind: guarded}))

    def _guarded(self, act: Callable[..., Any], path: str) -> Callable[..., Any]:
        async def answer(request: Any, context: Context) -> Any:  # noqa: ANN401 - any RPC
            await self._check(context, path)
            return await act(request, context)

        async def stream(request: Any, context: Context) -> Any:  # noqa: ANN401 - any RPC
            await self._check(context, path)
            async for response in act(request, context):
                yield response

        return stream if inspect.isasyncgenfunction(act) else answer

    async def _check(self, context: Context, path: str) -> None:
        shown = cast("Mapping[str, list[bytes]]", context.auth_context())
        peer = peer_of([uri.decode() for uri in shown.get(_URIS, [])])
        if peer is not None and may_call(peer, self._trust.identity, path):
            return
        who = str(peer or "a stranger")
        telemetry.PEERS_REFUSED.inc()
        _log.warning("peer refused", peer=who, method=path)
        await errors.abort(context, Denied(f"{who} may not use {path}", reason="WRONG_IDENTITY"))
