"""How a client gets in: which targets are encrypted, whom to believe there, what to show.

What is known comes from, in this order:

* meshes that run inside this process (`know`);
* the book of the mesh that runs here, ``$VOICEMESH_HOME/access.json``, written by `voicemesh up`;
* the environment: ``VOICEMESH_TOKEN`` (a token, or @FILE with one) and ``VOICEMESH_CA`` (a file
  with the issuer of the edge's certificate; by default whoever the system believes), and
  ``VOICEMESH_PEER`` where that certificate is for another name than the target's.

A target that none of them knows is spoken to in plain text on this machine, and encrypted elsewhere
unless ``VOICEMESH_PLAINTEXT=true``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from voicemesh.errors import Misconfigured
from voicemesh.settings import is_loopback
from voicemesh.tls import trust_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BOOK = "access.json"
TOKEN, ISSUER, PEER = "VOICEMESH_TOKEN", "VOICEMESH_CA", "VOICEMESH_PEER"
PLAINTEXT = "VOICEMESH_PLAINTEXT"

_known: list[Path] = []


@dataclass(frozen=True, slots=True)
class Access:
    """The way into one target."""

    addresses: tuple[str, ...] = ()
    """``host:port`` of each Envoy that is meant; empty: any."""
    roots: str = ""
    """File with whom to believe; empty: whoever the system believes."""
    token: str = field(default="", repr=False)
    """Token to show, or @FILE with it; empty: none."""
    identity: str = ""
    """Folder with a certificate to show, of an inner hop; empty: none."""
    peer: str = ""
    """Name that the other side's certificate has; empty: the target's own."""
    plaintext: bool = False
    """Whether nothing is encrypted."""

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return what a gRPC channel needs; None for plain text."""
        if self.plaintext:
            return None
        if self.identity:
            return trust_in(Path(self.identity)).channel_credentials()
        encrypted = grpc.ssl_channel_credentials(self.issuers())
        if not self.token:
            return encrypted
        shown = grpc.metadata_call_credentials(_Bearer(self.token))
        return grpc.composite_channel_credentials(encrypted, shown)

    def issuers(self) -> bytes | None:
        """Return whom to believe, PEM; None for whoever the system believes."""
        return _read(self.roots) if self.roots else None

    def headers(self) -> dict[str, str]:
        """Return what to send with HTTP requests."""
        return {"authorization": f"Bearer {read_token(self.token)}"} if self.token else {}


class _Bearer(grpc.AuthMetadataPlugin):
    """Shows the token that is in a file now."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, context: object, callback: Callable[[Any, Exception | None], None]) -> None:
        try:
            callback((("authorization", f"Bearer {read_token(self._token)}"),), None)
        except Misconfigured as error:
            callback((), error)


def find(target: str, environ: Mapping[str, str] | None = None) -> Access:
    """Return the way into a gRPC target or a plain ``host:port``."""
    environ = os.environ if environ is None else environ
    asked = set(hosts(target))
    for access in _books(environ):
        if asked & set(access.addresses):
            return access
    token, issuer = environ.get(TOKEN, ""), environ.get(ISSUER, "")
    if token or issuer:
        return Access(roots=issuer, token=token, peer=environ.get(PEER, ""))
    near = all(is_loopback(one.rpartition(":")[0].strip("[]")) for one in asked)
    return Access(plaintext=near or environ.get(PLAINTEXT, "").lower() in ("1", "true"))


def hosts(target: str) -> list[str]:
    """Return each ``host:port`` of a gRPC target; none of one that is found by other means."""
    scheme, colon, rest = target.partition(":")
    if scheme in ("ipv4", "ipv6"):
        return [one for one in rest.split(",") if one]
    if colon and rest.startswith("//"):
        return [rest.rpartition("/")[2]] if scheme == "dns" else []
    return [target.removeprefix("dns:")]


def know(book: Path) -> None:
    """Have a mesh's book read in this process."""
    _known.append(book)


def forget(book: Path) -> None:
    """Undo `know`."""
    if book in _known:
        _known.remove(book)


def book_text(ways: list[Access]) -> str:
    """Return the text of a book."""
    return json.dumps([_written(one) for one in ways], indent=1) + "\n"


def read_token(text: str) -> str:
    """Return a token that is given as itself or as @FILE."""
    return _read(text[1:]).decode().strip() if text.startswith("@") else text


def _written(one: Access) -> dict[str, Any]:
    names = ("addresses", "roots", "token", "identity", "peer", "plaintext")
    return {name: getattr(one, name) for name in names if getattr(one, name)}


def _books(environ: Mapping[str, str]) -> Iterator[Access]:
    here = Path(environ.get("VOICEMESH_HOME") or ".voicemesh") / BOOK
    for book in (*reversed(_known), here):
        try:
            ways = json.loads(book.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # no mesh runs there
        for one in ways:
            yield Access(**{**one, "addresses": tuple(one["addresses"])})


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{path}: {error.strerror}: name the file in {ISSUER} or {TOKEN}", file=path
        ) from error
