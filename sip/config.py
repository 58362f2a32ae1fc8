"""Settings of a SIP process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sip.file import LOCAL
from voicemesh.settings import ServiceSettings


class SipSettings(ServiceSettings):
    """What a SIP process needs beyond what every process does."""

    edge: str = "127.0.0.1:7000"
    """gRPC target of the edge Envoys, where gateways are found."""
    sip: Path = LOCAL
    """The SIP file."""
    sip_port: int = Field(default=0, ge=0, le=65000)
    """Port for UDP and TCP instead of the file's; 0 takes the file's."""
    max_calls: int = Field(default=100, ge=1, le=1000)
    """Calls at once; further ones are told that it is busy."""

    @property
    def number(self) -> int:
        """Which of several processes this is, from 0: the end of its name."""
        last = self.replica.rpartition("-")[2]
        return int(last) if last.isdecimal() else 0
