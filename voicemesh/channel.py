"""Channels to the mesh: options, the service config of the contract, and the call metadata."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import grpc.aio

from voicemesh.server import MAX_MESSAGE_BYTES

CONFIG = Path(__file__).parent / "api" / "service_config.json"


@cache
def service_config() -> str:
    """Timeouts and retries for each method, as they stand beside the protos."""
    return CONFIG.read_text()


def open_channel(target: str, *, own_connection: bool = False) -> grpc.aio.Channel:
    """Open a channel to ``target`` (any gRPC target string).

    ``own_connection`` keeps it from sharing a TCP connection with other channels of this process:
    a proxy that allows N streams per connection silently queues the one after them.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", service_config()),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_timeout_ms", 500),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.lookahead_bytes", 65535),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.use_local_subchannel_pool", int(own_connection)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    return grpc.aio.insecure_channel(target, options=options)
