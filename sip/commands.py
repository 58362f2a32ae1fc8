"""This part's commands of ``voicemesh``."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import grpc.aio
import typer

from sip.front import Front
from voicemesh.api.sip.v1 import sip_pb2, sip_pb2_grpc
from voicemesh.channel import open_channel
from voicemesh.client.faults import from_rpc
from voicemesh.commands.places import find, need_mesh
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def register(app: typer.Typer) -> None:
    """Add this package's commands."""
    sip = typer.Typer(help="Telephone by SIP; needs a mesh that was started with --sip.")
    sip.command()(dial)
    sip.command()(front)
    app.add_typer(sip, name="sip")


def dial(
    to: Annotated[str, typer.Argument(help="Number, or SIP address (sip:anna@example.com).")],
    bot: Annotated[str, typer.Option(help="Bot that speaks with whoever answers.")],
    trunk: Annotated[str, typer.Option(help="Trunk of the SIP file; default: its first.")] = "",
    caller: Annotated[str, typer.Option(help="Number that the far end is shown.")] = "",
    ring: Annotated[int, typer.Option(help="How long it may ring, seconds.", min=1, max=300)] = 45,
    mesh: Annotated[
        str | None, typer.Option(help="Address of a mesh Envoy; default: the local mesh's.")
    ] = None,
) -> None:
    """Telephone somebody, and tell what becomes of it until it is over.

    Ctrl-C before somebody answers takes the call back; behind that the call goes on.
    """
    target = mesh or need_mesh(find(None))
    request = sip_pb2.DialRequest(to=to, bot=bot, trunk=trunk, caller=caller, ring_seconds=ring)
    if asyncio.run(_dial(target, request)) != sip_pb2.DIAL_OUTCOME_COMPLETED:
        raise typer.Exit(1)


def front(
    out: Annotated[Path, typer.Option(help="Folder to write to, and to run from.")],
    public: Annotated[str, typer.Option(help="IPv4 address that phones and trunks reach.")],
    certificate: Annotated[Path, typer.Option(help="PEM file with certificate and key.")],
    worker: Annotated[list[str], typer.Option(help="Address of a SIP process; may be repeated.")],
    allow: Annotated[list[str], typer.Option(help="Network that may call; may be repeated.")],
    inside: Annotated[
        str, typer.Option(help="IPv4 address that the SIP processes reach.")
    ] = "127.0.0.1",
) -> None:
    """Write the configuration of a public door: Kamailio and rtpengine, TLS and SRTP outside."""
    try:
        networks = [IPv4Network(network) for network in allow]
    except ValueError as error:
        raise InvalidInput("allow", str(error)) from error
    made = Front(
        folder=out.absolute(),
        public=public,
        certificate=certificate.absolute(),
        workers=worker,
        allow=networks,
        inside=inside,
    )
    for path in made.write():
        typer.echo(str(path))


async def _dial(target: str, request: sip_pb2.DialRequest) -> sip_pb2.DialOutcome.ValueType:
    outcome = sip_pb2.DIAL_OUTCOME_UNSPECIFIED
    async with open_channel(target, beat=False) as channel:
        stub = sip_pb2_grpc.SipServiceStub(channel)
        try:
            async for news in stub.Dial(request):
                kind = news.WhichOneof("message") or ""
                typer.echo(_TOLD[kind](news))
                outcome = news.ended.outcome if kind == "ended" else outcome
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, target) from error
    return outcome


def _over(news: sip_pb2.DialResponse) -> str:
    ended = news.ended
    name = sip_pb2.DialOutcome.Name(ended.outcome)
    words = name.removeprefix("DIAL_OUTCOME_").lower().replace("_", " ")
    return f"{words}: {ended.detail}" if ended.detail else words


_TOLD: Mapping[str, Callable[[sip_pb2.DialResponse], str]] = {
    "ringing": lambda _: "it rings",
    "answered": lambda news: f"answered: call {news.answered.call_id}",
    "ended": _over,
}
