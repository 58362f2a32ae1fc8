from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.gateway.caller import LINEAR8, Caller, hall
from voicemesh.api.call.v1 import call_pb2

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
numbers:
  - number: "+4930*"
    bot: desk
    variables: {branch: berlin}
    calls_per_gateway: 1
"""


def numbers(folder: Path) -> str:
    (folder / "bots").mkdir()
    file = folder / "numbers.yaml"
    file.write_text(FILE)
    return str(file)


async def test_a_dialled_number_has_its_bot_and_its_limit(tmp_path: Path) -> None:
    file = numbers(tmp_path)
    async with hall(tmp_path / "bots", numbers=file) as here:
        first = Caller(here)
        await first.start(bot="", callee="+49301", variables={"branch": "x", "colour": "red"})
        opened = here.echo.opens[0]
        assert (opened.bot, opened.callee) == ("desk", "+49301")
        assert opened.variables == {"branch": "berlin", "colour": "red"}
        second = Caller(here)
        start = call_pb2.Start(callee="+49302", caller_format=LINEAR8)
        await second.send(start=start)
        with pytest.raises(grpc.aio.AioRpcError, match="busy: it takes 1 calls") as caught:
            await second.status()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await first.hang_up()
        await first.end()
        third = Caller(here)
        await third.start(bot="", callee="+49302")
        await third.hang_up()


async def test_a_number_that_nobody_takes_is_not_found(tmp_path: Path) -> None:
    file = numbers(tmp_path)
    async with hall(tmp_path / "bots", numbers=file) as here:
        caller = Caller(here)
        await caller.send(start=call_pb2.Start(callee="+1", caller_format=LINEAR8))
        with pytest.raises(grpc.aio.AioRpcError, match="no bot takes calls to") as caught:
            await caller.status()
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
