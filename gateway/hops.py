"""Where a call was: every replica that took part in it, for its record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict

from voicemesh.api.journal.v1 import hop_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_HOPS = 512
"""Of one call; the first of them are kept, and how many there were is counted."""


class Hops:
    """The hops of one call, in order; each service's only when it is another than before."""

    def __init__(self, before: Iterable[hop_pb2.Hop] = ()) -> None:
        """``before`` are those under the gateways before this one."""
        self._all = [*before]
        self._last = {one.service: (one.region, one.replica) for one in self._all}
        self.left_out = 0
        """How many there were beyond MAX_HOPS."""

    @property
    def all(self) -> Sequence[hop_pb2.Hop]:
        """All of them, oldest first."""
        return self._all

    def took(self, service: str, region: str, replica: str, unix: float | None = None) -> None:
        """Take note that a replica takes part from now on, or from a time in Unix seconds."""
        if not replica or self._last.get(service) == (region, replica):
            return
        self._last[service] = region, replica
        if len(self._all) >= MAX_HOPS:
            self.left_out += 1
            return
        hop = hop_pb2.Hop(service=service, replica=replica, region=region)
        hop.time.FromNanoseconds(int((time.time() if unix is None else unix) * 1e9))
        self._all.append(hop)

    def as_record(self) -> dict[str, object]:
        """Return them as a call's record has them."""
        found = [MessageToDict(one, preserving_proto_field_name=True) for one in self._all]
        return {"hops": found, "hops_left_out": self.left_out}
