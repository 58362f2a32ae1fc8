"""Who may send SIP at all: an allow-list of networks, kept by the kernel.

The SIP stack asks nobody before it parses a datagram, so the list is a filter on its sockets
(classic BPF, `SO_ATTACH_FILTER`): what comes from elsewhere is dropped before the stack sees it,
and gets no answer, as from a closed port. Connections taken from a filtered socket inherit it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from ipaddress import IPv4Network

MAX_NETWORKS = 80
"""A jump of classic BPF passes over 255 instructions at most; each network takes three."""
_SO_ATTACH_FILTER = 26
_SOURCE = -0x100000 + 12  # SKF_NET_OFF: the IPv4 header; its source address
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_ALL = 0xFFFFFFFF


def program(networks: Sequence[IPv4Network]) -> bytes:
    """Return a filter that lets only packets from these networks through; at most 80 of them."""
    if len(networks) > MAX_NETWORKS:
        raise Misconfigured(f"allow: at most {MAX_NETWORKS} networks, not {len(networks)}")
    steps = []
    for number, network in enumerate(networks):
        left = len(networks) - number - 1
        # To the last instruction, past the networks that follow and the one that drops.
        steps.append((_LOAD, 0, 0, _SOURCE & _ALL))
        steps.append((_AND, 0, 0, int(network.netmask)))
        steps.append((_EQUAL, 3 * left + 1, 0, int(network.network_address)))
    steps += [(_RETURN, 0, 0, 0), (_RETURN, 0, 0, _ALL)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def restrict(ports: Container[int], networks: Sequence[IPv4Network]) -> int:
    """Filter this process's sockets on these ports; return how many there are."""
    steps = program(networks)
    code = ctypes.create_string_buffer(steps)
    attached = struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(code))
    count = 0
    for own in _sockets():
        with own:
            if own.family == socket.AF_INET and own.getsockname()[1] in ports:
                own.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
                count += 1
    return count


def _sockets() -> Iterator[socket.socket]:
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if os.readlink(entry).startswith("socket:"):
                yield socket.socket(fileno=os.dup(int(entry.name)))
