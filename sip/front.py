"""The public door for phones: configuration of Debian's Kamailio and rtpengine, from options.

Outside TLS and SRTP, inside plain SIP and RTP: see docs/carriers/sip.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Network

TEMPLATES = Path(__file__).parent / "front"
FILES = ("kamailio.cfg", "tls.cfg", "rtpengine.conf")
MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules"


@dataclass(frozen=True, kw_only=True)
class Front:
    """What differs from one door to another."""

    folder: Path
    """Where the files will be read from."""
    public: str
    """IPv4 address that phones and trunks reach."""
    certificate: Path
    """PEM file with certificate and key."""
    workers: Sequence[str]
    """Addresses of the SIP processes, `host:port`."""
    allow: Sequence[IPv4Network]
    """Networks that may call."""
    authorities: Path | None = None
    """PEM file with the authorities that far ends must be certified by; None trusts any."""
    public_port: int = 5061
    inside: str = "127.0.0.1"
    """IPv4 address that the SIP processes reach."""
    inside_port: int = 5080
    rtpengine_port: int = 22222
    port_min: int = 30000
    port_max: int = 40000
    modules: str = MODULES

    def files(self) -> dict[str, str]:
        """Return each file's text, by name."""
        if not self.workers or not self.allow:
            raise InvalidInput("workers" if not self.workers else "allow", "must not be empty")
        values = self._values()
        found = {name: Template((TEMPLATES / name).read_text()) for name in FILES}
        texts = {name: template.substitute(values) for name, template in found.items()}
        lines = [f"1 sip:{worker} 0 0" for worker in self.workers]
        return {**texts, "dispatcher.list": "\n".join(lines) + "\n"}

    def write(self) -> list[Path]:
        """Write the files; return them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, text in self.files().items():
            path = self.folder / name
            path.write_text(text)
            paths.append(path)
        return paths

    def _values(self) -> Mapping[str, object]:
        # Two names for one address would be two owners of the same ports.
        two = self.public != self.inside
        return {
            **vars(self),
            "allowed": " || ".join(f"src_ip == {network}" for network in self.allow),
            "inward": "direction=outside direction=inside" if two else "",
            "outward": "direction=inside direction=outside" if two else "",
            "interfaces": f"inside/{self.inside};outside/{self.public}" if two else self.inside,
            "verify": "yes" if self.authorities else "no",
            "authorities": self.authorities or self.certificate,
        }
