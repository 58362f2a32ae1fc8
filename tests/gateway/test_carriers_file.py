from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from gateway.control.carriers import load
from gateway.control.dialling import Order
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
carriers:
  - name: main
    carrier: telnyx
    key: ${TELNYX_KEY}
    application: "77"
    caller: "+4930"
    base_url: http://127.0.0.1:%d
    stream_url: wss://voice.example.com/carriers/telnyx
    answer_url: https://voice.example.com/answer
"""


async def test_a_call_is_placed_by_the_carriers_api(tmp_path: Path) -> None:
    asked: list[tuple[str, dict[str, str], dict[str, object]]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = (await reader.readline()).decode()
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked.append((first, headers, json.loads(body or b"{}")))
        said = b'{"data": {"call_control_id": "v3:one"}}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(said)
        )
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    file = tmp_path / "carriers.yaml"
    file.write_text(FILE % server.sockets[0].getsockname()[1])
    dialler = load(file, {"TELNYX_KEY": "secret-key"})["main"]
    order = Order("call", "+49301", "", 45.0, {"voicemesh_ticket_0": "abc"}, "key-1")
    assert await dialler.dial(order) == "v3:one"
    await dialler.cancel("v3:one", "call")
    await dialler.aclose()
    server.close()
    await server.wait_closed()
    (dialled, headers, body), (ended, _, _) = asked
    assert dialled.startswith("POST /calls ")
    assert headers["authorization"] == "Bearer secret-key"
    assert (body["to"], body["from"], body["connection_id"]) == ("+49301", "+4930", "77")
    assert str(body["stream_url"]).startswith("wss://voice.example.com/carriers/telnyx")
    assert "hangup" in ended


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("telnyx\n", "telnix\n"), "carriers.yaml:3: carriers[0].carrier: is none of exotel"),
        (("    key:", "    keys:"), "carriers.yaml:4: carriers[0].keys: unknown key"),
        (("wss://", "ftp://"), "carriers.yaml:8: carriers[0].stream_url"),
        (("TELNYX_KEY", "NOT_THERE"), "main: the environment has no NOT_THERE"),
        (("    key: ${TELNYX_KEY}\n", ""), "key"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    file = tmp_path / "carriers.yaml"
    file.write_text((FILE % 1).replace(*change))
    with pytest.raises(Misconfigured) as caught:
        load(file, {"TELNYX_KEY": "k"})
    assert said in caught.value.message
