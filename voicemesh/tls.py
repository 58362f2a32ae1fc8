"""The certificate a process shows, whom it believes, and how both change under live calls.

A folder holds ``tls.crt`` (the certificate, then its intermediates), ``tls.key`` and ``ca.crt``
(whom to believe): the names that cert-manager writes into a Kubernetes secret. The files are
looked at once a second. What changed is used for new connections; a handshake is the only place
where a certificate counts, so connections that stand, and the calls on them, are not touched. What
cannot be used (half written, expired, not fitting together) is logged and passed over.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from voicemesh import telemetry
from voicemesh.errors import InvalidInput, Misconfigured
from voicemesh.identity import Identity, may_call, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CERTIFICATE, KEY, ROOTS = "tls.crt", "tls.key", "ca.crt"
LOOK_SECONDS = 1.0
"""Time between two looks at the files."""

_log = telemetry.get_logger("tls")


@dataclass(frozen=True, slots=True)
class Material:
    """What is in the files; PEM."""

    certificate: bytes
    key: bytes
    roots: bytes
    identity: Identity
    expires: float
    """Unix seconds."""


def read(folder: Path) -> Material:
    """Read a folder; raise Misconfigured naming the file, what is wrong and what to do."""
    certificate, key, roots = (_file(folder / name) for name in (CERTIFICATE, KEY, ROOTS))
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
        public = serialization.load_pem_private_key(key, None).public_key()
        believed = x509.load_pem_x509_certificates(roots)
        identity = _identity(leaf)
    except (ValueError, TypeError, InvalidInput, x509.ExtensionNotFound) as error:
        raise _wrong(folder, f"cannot be read ({error})") from error
    if public != leaf.public_key():
        raise _wrong(folder, f"{KEY} is not the key of {CERTIFICATE}")
    expires = leaf.not_valid_after_utc.timestamp()
    if expires <= time.time():
        raise _wrong(folder, f"{CERTIFICATE} expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}")
    if not believed:
        raise _wrong(folder, f"{ROOTS} holds no certificate")
    return Material(certificate, key, roots, identity, expires)


def _identity(leaf: x509.Certificate) -> Identity:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise InvalidInput(CERTIFICATE, f"must name one URI, the identity, and not {len(uris)}")
    return parse(uris[0])


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(path.parent, f"{path.name}: {error.strerror}") from error


def _wrong(folder: Path, what: str) -> Misconfigured:
    return Misconfigured(
        f"VOICEMESH_IDENTITY: {folder}: {what}: put a certificate, its key and its issuer there",
        field="VOICEMESH_IDENTITY",
    )


class Trust:
    """What a process shows and believes, kept up to date."""

    def __init__(self, folder: Path) -> None:
        """Read the folder; raise Misconfigured where it cannot be used."""
        self._folder = folder
        self._seen = self._stamp()
        self.material = read(folder)
        self._changed: set[Callable[[], None]] = set()
        self._contexts: list[ssl.SSLContext] = []

    @property
    def identity(self) -> Identity:
        """Who this process is."""
        return self.material.identity

    def refresh(self) -> bool:
        """Look at the files; return whether there is something new that can be used."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            material = read(self._folder)
        except Misconfigured as error:
            _log.error("certificates passed over", problem=error.message)
            return False
        if material == self.material:
            return False
        self.material = material
        for context in self._contexts:
            with suppress(OSError):  # replaced again meanwhile: the next look finds it
                self._load(context)
        for tell in list(self._changed):
            tell()
        _log.info("certificates changed", identity=str(self.identity), expires=material.expires)
        return True

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the files once a second while the block runs."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def on_change(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Have something called after each change; return what ends that."""
        self._changed.add(tell)
        return lambda: self._changed.discard(tell)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return what a gRPC client shows and believes now."""
        now = self.material
        return grpc.ssl_channel_credentials(now.roots, now.key, now.certificate)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return what a gRPC server shows and believes, at each handshake the newest."""
        given = self.material

        def newest() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            if self.material is given:
                return None
            given = self.material
            return _for_servers(given)

        return grpc.dynamic_ssl_server_credentials(
            _for_servers(given),
            newest,  # type: ignore[arg-type] # None: as before, which the stubs do not know
            require_client_authentication=True,
        )

    def server_context(self) -> ssl.SSLContext:
        """Return the same for servers that are not gRPC, which answer the Envoys in front only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = _checking(self)
        context.verify_mode = ssl.CERT_REQUIRED
        self._load(context)
        self._contexts.append(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        context.load_verify_locations(cadata=self.material.roots.decode())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.refresh()

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp(self._folder / name) for name in (CERTIFICATE, KEY, ROOTS))


@cache
def trust_in(folder: Path) -> Trust:
    """Return the one Trust of a process for a folder."""
    return Trust(folder)


def peer_of(names: list[str]) -> Identity | None:
    """Return who a peer is, by the URIs of its certificate; None for whoever is none of ours."""
    if len(names) != 1:
        return None
    with suppress(InvalidInput):
        return parse(names[0])
    return None


def _checking(trust: Trust) -> type[ssl.SSLObject]:
    """Return what ends a handshake with whoever may not speak to this process."""

    class Checked(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown: Any = self.getpeercert() or {}
            uris = [value for kind, value in shown.get("subjectAltName", ()) if kind == "URI"]
            peer = peer_of(uris)
            if peer is None or not may_call(peer, trust.identity, ""):
                telemetry.PEERS_REFUSED.inc()
                raise ssl.SSLCertVerificationError(f"{peer or 'a stranger'} may not connect")

    return Checked


def _for_servers(material: Material) -> grpc.ServerCertificateConfiguration:
    pair = (material.key, material.certificate)
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=material.roots)


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_ino
    return 0, 0
