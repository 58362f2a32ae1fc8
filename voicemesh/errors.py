"""Everything that can go wrong, as one tree; each class knows its gRPC status.

VoicemeshError                 INTERNAL
├── InvalidInput               INVALID_ARGUMENT     a field is malformed or out of its range
│   └── OutOfOrder             FAILED_PRECONDITION  a message that its state does not allow
├── NotFound                   NOT_FOUND            no such bot, call or engine
├── Refused                    RESOURCE_EXHAUSTED   full: try another replica
├── Unavailable                UNAVAILABLE          draining, or something behind is gone
├── Denied                     PERMISSION_DENIED
├── DeadlineMissed             DEADLINE_EXCEEDED    a first or next result came too late
├── Superseded                 ABORTED              a higher epoch owns the call
└── Misconfigured              FAILED_PRECONDITION  a file, package or port of ours is wrong
    └── MissingModel           FAILED_PRECONDITION  a package with weights is not installed

A raised error crosses the wire as its status plus ``google.rpc.ErrorInfo``: ``reason`` is stable
and upper case, ``metadata`` repeats whatever is dynamic in the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, cast

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

if TYPE_CHECKING:
    from collections.abc import Mapping

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

DOMAIN = "voicemesh"


class VoicemeshError(Exception):
    """Root of the tree.

    ``reason`` is stable and upper case (at most 63 characters); ``details`` names the field and
    the limit, or whatever else a caller needs to mend its input.
    """

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, reason: str = "", **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.details = {key: str(value) for key, value in details.items()}


class InvalidInput(VoicemeshError):
    """A field is malformed or out of its range."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_FIELD"

    def __init__(self, field: str, problem: str, *, reason: str = "", **details: object) -> None:
        super().__init__(f"{field}: {problem}", reason=reason, field=field, **details)


class OutOfOrder(InvalidInput):
    """A message arrived that the state of its stream does not allow."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "OUT_OF_ORDER"


class NotFound(VoicemeshError):
    """There is no such bot, call or engine."""

    status = grpc.StatusCode.NOT_FOUND
    default_reason = "NOT_FOUND"


class Refused(VoicemeshError):
    """This replica is full; another may not be."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = "FULL"
    retry_seconds = 1.0
    """How soon asking again may help; told as ``google.rpc.RetryInfo``."""


class Unavailable(VoicemeshError):
    """This replica is draining, or something that it needs is gone."""

    status = grpc.StatusCode.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class Denied(VoicemeshError):
    """The caller may not do this."""

    status = grpc.StatusCode.PERMISSION_DENIED
    default_reason = "DENIED"


class DeadlineMissed(VoicemeshError):
    """A first or next result came too late."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_MISSED"


class Superseded(VoicemeshError):
    """A higher epoch owns the call."""

    status = grpc.StatusCode.ABORTED
    default_reason = "SUPERSEDED"


class Misconfigured(VoicemeshError):
    """A file, package or port of ours is wrong; the message says what to do."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "MISCONFIGURED"


class MissingModel(Misconfigured):
    """A package that carries an engine or its weights is not installed."""

    default_reason = "MISSING_MODEL"

    def __init__(self, package: str, engine: str) -> None:
        super().__init__(
            f"engine {engine!r} needs the package {package!r}: run `make install`",
            package=package,
            engine=engine,
        )


def to_status(error: VoicemeshError) -> status_pb2.Status:
    """Return the error as ``google.rpc.Status`` with its ``ErrorInfo``."""
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=DOMAIN, metadata=dict(error.details)
    )
    details = [any_pb2.Any()]
    details[0].Pack(info)
    if isinstance(error, Refused):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_seconds * 1000))
        details.append(any_pb2.Any())
        details[1].Pack(retry)
    code: tuple[int, str] = error.status.value
    return status_pb2.Status(
        code=cast("code_pb2.Code.ValueType", code[0]), message=error.message, details=details
    )


async def abort(context: Context, error: VoicemeshError) -> NoReturn:
    """End the RPC with the error's status; the one place where errors meet gRPC."""
    status = rpc_status.to_status(to_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort returned")


def error_info(error: grpc.aio.AioRpcError) -> tuple[str, Mapping[str, str]]:
    """Return (reason, metadata) of a received error; ("", {}) where it carries no ErrorInfo."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason, dict(info.metadata)
    return "", {}
