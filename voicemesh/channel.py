"""Channels to the mesh: options, the service config of the contract, and how fast one is missed.

A channel to several addresses (``ipv4:127.0.0.1:7001,127.0.0.1:7011``) keeps a connection to each
and gives every new stream to the next. When a connection breaks, its streams do, and a stream
opened again on the same channel goes by another.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from voicemesh.access import find
from voicemesh.renewed import RenewedChannel
from voicemesh.server import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicemesh.tls import Trust

BEAT = "/voicemesh.Beat/Beat"
"""Served by nobody: Envoy itself says so, and does not log it."""
_beating: set[asyncio.Task[None]] = set()


class Pulse:
    """Counts what a channel's users send: who sends anyway need not beat."""

    __slots__ = ("refused", "sent")

    def __init__(self, refused: Callable[[], None] = lambda: None) -> None:
        """``refused`` is called when a stream found no place."""
        self.refused = refused
        self.sent = 0
        """To a channel of one address, messages; to one of several, streams opened."""


DOOR = "mesh"
"""Service that inner hops go by: the mesh Envoys."""
CONFIG = Path(__file__).parent / "api" / "service_config.json"


@dataclass(frozen=True)
class Watch:
    """How soon a peer is missed that neither answers nor hangs up: after both of these."""

    quiet_ms: int
    """Time without a byte from it until it is asked for a sign of life. gRPC asks once a second
    at most, unless something was sent meanwhile: a beat, where the channel beats."""
    answer_ms: int
    """Time it has to give one."""
    connect_ms: int
    """Least time that a connection may take to come about."""


NEAR = Watch(quiet_ms=150, answer_ms=250, connect_ms=250)
"""Inside a region: a frozen Envoy is left within 550 ms."""
FAR = Watch(quiet_ms=1000, answer_ms=2000, connect_ms=3000)
"""Over networks that lose packets: a retransmission must not look like a death."""


@cache
def service_config() -> str:
    """Timeouts and retries for each method, as they stand beside the protos.

    grpcio 1.85 takes the start of a call for more than a second earlier than it was, so a timeout
    is that much shorter than it says; one of a second fails every call at once.
    """
    return CONFIG.read_text()


def addresses(target: str) -> tuple[str, ...]:
    """Split a target into one for each address it names.

    For who wants to open a stream again by another Envoy before the channel knows that one hangs:
    a channel for each address, and the next one's turn at each attempt.
    """
    scheme, colon, rest = target.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return (target,)
    return tuple(f"{scheme}{colon}{address}" for address in rest.split(",") if address)


def open_channel(
    target: str,
    *,
    trust: Trust | None = None,
    own_connection: bool = False,
    watch: Watch = NEAR,
    beat: bool | None = None,
    pulse: Pulse | None = None,
) -> grpc.aio.Channel:
    """Open a channel to ``target`` (any gRPC target string) and begin to connect.

    ``trust`` is what a service of ours shows to the mesh Envoys of its region, and believes; the
    channel follows it when it changes. Without it, what is known of the target here
    (`voicemesh.access`) decides whether and how it is encrypted.

    ``own_connection`` keeps it from sharing a TCP connection with other channels of this process:
    a proxy that allows N streams per connection silently queues the one after them. ``beat`` makes
    it miss a silent peer while its own streams are silent, too (by default where there is another
    address to go to); it does not while `pulse` says that something is sent anyway.
    """
    way = _Way(target, own_connection, watch, beat, pulse or Pulse())
    if trust is None:
        known = find(target)
        return way.open(known.credentials(), known.peer)
    peer = trust.identity.beside(DOOR).host
    return RenewedChannel(lambda: way.open(trust.channel_credentials(), peer), trust)


@dataclass(frozen=True)
class _Way:
    """How a target is reached."""

    target: str
    own_connection: bool
    watch: Watch
    beat: bool | None
    pulse: Pulse

    def open(self, credentials: grpc.ChannelCredentials | None, peer: str) -> grpc.aio.Channel:
        """Open a channel; ``peer`` is the name of the other side's certificate, if not its own."""
        options = self._options()
        if peer:
            options.append(("grpc.ssl_target_name_override", peer))
        channel = (
            grpc.aio.secure_channel(self.target, credentials, options=options)
            if credentials
            else grpc.aio.insecure_channel(self.target, options=options)
        )
        # The first streams would all go to whichever address happened to be connected first.
        channel.get_state(try_to_connect=True)
        count = len(addresses(self.target))
        if self.beat or (self.beat is None and count > 1):
            task = asyncio.get_running_loop().create_task(
                _beat(channel, count, self.watch, self.pulse), name=f"beat {self.target}"
            )
            _beating.add(task)
            task.add_done_callback(_beating.discard)
        return channel

    def _options(self) -> list[tuple[str, str | int]]:
        return [
            ("grpc.service_config", service_config()),
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            *_watching(self.watch),
            ("grpc.http2.lookahead_bytes", 65535),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.use_local_subchannel_pool", int(self.own_connection)),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", self.watch.connect_ms),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]


async def _beat(channel: grpc.aio.Channel, count: int, watch: Watch, pulse: Pulse) -> None:
    """Ask each address for nothing, until the channel is closed."""
    sent = pulse.sent
    nothing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(BEAT)
    with suppress(grpc.aio.UsageError):  # closed
        while True:
            await asyncio.sleep(watch.quiet_ms / 1000)
            # Streams go to the addresses in turn: so many of them have reached each one.
            if pulse.sent - sent < count:
                await asyncio.gather(*(_ask(nothing) for _ in range(count)))
            sent = pulse.sent


async def _ask(nothing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
    with suppress(grpc.aio.AioRpcError):
        # No timeout: one that hangs is ended with its connection.
        await nothing(b"")


def _watching(watch: Watch) -> list[tuple[str, str | int]]:
    return [
        ("grpc.keepalive_time_ms", watch.quiet_ms),
        ("grpc.keepalive_timeout_ms", watch.answer_ms),
        # Without it the timeout above ends nothing: an unanswered ping is waited for 60 s.
        ("grpc.http2.ping_timeout_ms", watch.answer_ms),
        ("grpc.http2.max_pings_without_data", 0),
        # A warm connection that carries nothing is missed too, before a stream is lost to it.
        ("grpc.keepalive_permit_without_calls", 1),
    ]
