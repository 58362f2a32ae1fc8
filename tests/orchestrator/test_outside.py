from __future__ import annotations

import httpx
import pytest

from orchestrator.outside import Allowed, Guarded
from tests.orchestrator.servers import HttpServer
from voicemesh.errors import Denied


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
    ],
)
def test_private_addresses_are_refused(address: str) -> None:
    with pytest.raises(Denied, match="private network"):
        Allowed(()).check("bot.example", [address])


def test_one_private_address_among_others_is_enough() -> None:
    with pytest.raises(Denied):
        Allowed(()).check("bot.example", ["93.184.216.34", "10.0.0.1"])
    assert Allowed(()).check("bot.example", ["93.184.216.34"]) == "93.184.216.34"


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("10.1.0.0/16", "bot.example", "10.1.2.3"),
        ("10.1.2.3", "bot.example", "10.1.2.3"),
        ("bot.internal", "Bot.Internal", "10.0.0.1"),
        ("*.internal", "a.bot.internal", "10.0.0.1"),
        ("::1", "localhost", "::1"),
    ],
)
def test_what_is_named_is_allowed(entry: str, host: str, address: str) -> None:
    assert Allowed((entry,)).check(host, [address]) == address
    with pytest.raises(Denied):
        Allowed((entry,)).check("other.example", ["10.9.9.9"])


def test_a_host_without_an_address_is_refused() -> None:
    with pytest.raises(Denied, match="no address"):
        Allowed(()).check("bot.example", [])


async def test_a_name_is_judged_by_what_it_points_to() -> None:
    async with HttpServer().running() as http:
        port = http.address.rpartition(":")[2]
        async with httpx.AsyncClient(transport=Guarded(Allowed(()), 2)) as client:
            for host in ("localhost", "127.0.0.1", "[::1]", "2130706433"):
                with pytest.raises((Denied, httpx.ConnectError)):
                    await client.get(f"http://{host}:{port}/")
        assert not http.requests
        async with httpx.AsyncClient(transport=Guarded(Allowed(("localhost",)), 2)) as client:
            await client.get(f"http://localhost:{port}/")
        [(_, headers, _)] = http.requests
        assert headers["host"] == f"localhost:{port}"
