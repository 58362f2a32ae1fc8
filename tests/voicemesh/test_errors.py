from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from voicemesh import errors
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLES: list[VoicemeshError] = [
    errors.InvalidInput("open.epoch", "must be at least 1", limit=1),
    errors.OutOfOrder("open", "may be sent once only"),
    errors.NotFound("no bot 'x'", reason="NO_BOT", bot="x"),
    errors.Refused("full", limit=3),
    errors.Unavailable("draining", reason="DRAINING"),
    errors.Denied("not yours"),
    errors.DeadlineMissed("nothing within 2 s", seconds=2),
    errors.Superseded("epoch 3 has it"),
    errors.Misconfigured("a file is wrong", file="x.yaml"),
    errors.MissingModel("hibari-tts", "hibari"),
]


@asynccontextmanager
async def failing(error: VoicemeshError) -> AsyncIterator[grpc.aio.Channel]:
    async def fail(_: bytes, context: errors.Context) -> bytes:
        await errors.abort(context, error)

    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(fail)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"M": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
async def test_error_crosses_the_wire_whole(error: VoicemeshError) -> None:
    async with failing(error) as channel:
        call: Any = channel.unary_unary("/t.T/M")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"")
    assert caught.value.code() is error.status
    assert caught.value.details() == error.message
    assert errors.error_info(caught.value) == (error.reason, error.details)


def test_error_without_details_has_none() -> None:
    empty: Any = grpc.aio.Metadata()
    bare = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, "gone")
    assert errors.error_info(bare) == ("", {})


def every(kind: type[VoicemeshError]) -> list[type[VoicemeshError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in every(child))]


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    assert errors.__doc__
    for kind in every(VoicemeshError):
        if kind.__name__.startswith("_"):
            continue  # a part's own name for one of these
        assert kind.__name__ in errors.__doc__
        assert kind.status.name in errors.__doc__


def test_reasons_are_stable_words() -> None:
    for kind in every(VoicemeshError):
        assert kind.default_reason.isupper()
        assert len(kind.default_reason) <= 63
