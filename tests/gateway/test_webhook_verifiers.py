"""The verifiers of docs/webhooks.md, as they stand there, judge what a gateway sends."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from standardwebhooks import Webhook

from gateway.config import GatewaySettings
from gateway.webhooks.sender import Sender
from tests.gateway.webhook_receiver import SECRET

DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
BODY = '{"type":"call.answered","data":{"name":"Zoë"}}'
Request: TypeAlias = tuple[dict[str, str], str]
Judge: TypeAlias = Callable[[list[Request]], list[str]]

_NODE = """
const lines = (await new Response(process.stdin).text()).split("\\n").filter(Boolean);
const verifier = new Verifier(process.argv[2]);
for (const line of lines) console.log(verifier.check(...JSON.parse(line)));
"""


def snippet(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


async def by_python(requests: list[Request], _folder: Path) -> list[str]:
    names: dict[str, Any] = {}
    exec(compile(snippet("python"), "webhooks.md", "exec"), names)  # noqa: S102 - our own document
    verifier = names["Verifier"](SECRET)
    return [verifier.check(headers, body.encode()) for headers, body in requests]


async def by_node(requests: list[Request], folder: Path) -> list[str]:
    if not shutil.which("node"):
        pytest.skip("needs the Debian package nodejs")
    program = folder / "verify.mjs"
    program.write_text(snippet("js") + _NODE)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(program),
        SECRET,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    lines = "\n".join(json.dumps(request) for request in requests)
    out, _ = await asyncio.wait_for(process.communicate(lines.encode()), 30)
    assert process.returncode == 0
    return out.decode().split()


async def sent(event_id: str, body: str) -> Request:
    """Return the request that a gateway sends, taken from the wire."""
    took: asyncio.Future[Request] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        text = (await reader.readexactly(int(headers["content-length"]))).decode()
        took.set_result((headers, text))
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    sender = Sender(GatewaySettings(webhook_url=url, webhook_secret=SECRET))  # type: ignore[arg-type]
    await sender.send(event_id, body)
    await sender.close()
    server.close()
    return await took


def old(request: Request, seconds: float) -> Request:
    """Return a request that was signed well, but at another time."""
    headers, body = request
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    signature = Webhook(SECRET).sign(headers["webhook-id"], at, body)
    times = {"webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    return {**headers, **times}, body


@pytest.mark.parametrize("judge", [by_python, by_node], ids=["python", "node"])
async def test_ours_is_told_from_tampered_and_replayed(judge: Any, tmp_path: Path) -> None:  # noqa: ANN401
    request = await sent("event-1", BODY)
    headers, body = request
    other = await sent("event-2", BODY)
    without = {name: value for name, value in headers.items() if name != "webhook-signature"}
    assert await judge(
        [
            request,
            request,
            (headers, body.replace("Zo", "Zu")),
            ({**headers, "webhook-id": "event-3"}, body),
            ({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body),
            ({**headers, "webhook-signature": "v1,AAAA"}, body),
            (without, body),
            old(other, -301),
            old(other, 302),
            other,
        ],
        tmp_path,
    ) == ["new", "seen", *["forged"] * 7, "new"]
