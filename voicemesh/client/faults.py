"""What a gRPC status means to a caller: one of our own errors again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from voicemesh import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS: Mapping[grpc.StatusCode, type[errors.VoicemeshError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidInput,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidInput,
    grpc.StatusCode.FAILED_PRECONDITION: errors.OutOfOrder,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Refused,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    grpc.StatusCode.PERMISSION_DENIED: errors.Denied,
    grpc.StatusCode.UNAUTHENTICATED: errors.Denied,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineMissed,
    grpc.StatusCode.ABORTED: errors.Superseded,
    grpc.StatusCode.UNIMPLEMENTED: errors.Misconfigured,
}
_KINDS_BY_REASON: Mapping[str, type[errors.VoicemeshError]] = {
    errors.Misconfigured.default_reason: errors.Misconfigured,
    errors.MissingModel.default_reason: errors.MissingModel,
}


def from_rpc(error: grpc.aio.AioRpcError, target: str) -> errors.VoicemeshError:
    """Return the error that ended an RPC, with its reason and details where it carries them."""
    code = error.code()
    reason, details = errors.error_info(error)
    message = error.details() or code.name
    if not reason:
        # Nobody of ours said this: the target is wrong, or something between is gone.
        message = f"{target}: {message}"
    kind = _KINDS_BY_REASON.get(reason) or _KINDS.get(code, errors.VoicemeshError)
    if not reason and code is grpc.StatusCode.INTERNAL:
        # The transport's: a stream that was reset, as by an Envoy whose upstream died.
        kind = errors.Unavailable
    # Subclasses build their message from parts, which crossed the wire already joined.
    known = kind.__new__(kind)
    errors.VoicemeshError.__init__(known, message, reason=reason or code.name)
    known.details = dict(details) or {"target": target}
    return known
