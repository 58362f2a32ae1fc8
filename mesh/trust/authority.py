"""A certificate authority for development and for one machine: its key lies in the run directory.

What runs for real gets its certificates from something that guards its key better (cert-manager,
SPIRE; docs/security.md) and never sees this.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.envoy.files import replace
from voicemesh.tls import CERTIFICATE, KEY, ROOTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voicemesh.identity import Identity

LEAF_LIFE = timedelta(hours=24)
"""Short, so that renewal is something that happens every day."""
AUTHORITY_LIFE = timedelta(days=30)
_LEAST_LEFT = timedelta(days=2)
"""An authority with less life left is replaced at the next start."""
_CLOCK_SKEW = timedelta(minutes=5)
_NOW = "..now"
"""What a folder's files lead to: one rename changes all of them, as Kubernetes does it."""


class Authority:
    """Issues certificates."""

    def __init__(self, folder: Path) -> None:
        """Take up the authority in a folder; make one where there is none that still lives."""
        self._folder = folder
        found = self._found()
        self._key, self._certificate = found or self._made()

    @property
    def roots(self) -> Path:
        """File with its certificate."""
        return self._folder / ROOTS

    def issue(self, identity: Identity, folder: Path, *, expires: datetime | None = None) -> None:
        """Write a fresh key and certificate of an inner identity; ``expires`` is for tests."""
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(str(identity)),
            x509.DNSName(identity.host),
        ]
        self._write(folder, identity.host, names, expires)

    def issue_public(self, hosts: Sequence[str], folder: Path) -> None:
        """Write a fresh key and certificate of names and addresses that callers use."""
        self._write(folder, hosts[0], [_name(host) for host in hosts], None)

    def _write(
        self, folder: Path, subject: str, names: list[x509.GeneralName], expires: datetime | None
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        leaf = (
            _begun(subject, self._certificate.subject, key, now, expires or now + LEAF_LIFE)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = {CERTIFICATE: _pem(leaf), KEY: _key_pem(key), ROOTS: self.roots.read_text()}
        _publish(folder, files)

    def _found(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
        try:
            key: Any = serialization.load_pem_private_key((self._folder / KEY).read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(self.roots.read_bytes())
        except (OSError, ValueError):
            return None
        fits = key.public_key() == certificate.public_key()
        lives = certificate.not_valid_after_utc > datetime.now(UTC) + _LEAST_LEFT
        return (key, certificate) if fits and lives else None

    def _made(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        name = f"voicemesh development {now:%Y-%m-%d %H:%M:%S}"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _begun(name, subject, key, now, now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        replace(self._folder / KEY, _key_pem(key), mode=0o600)
        replace(self.roots, _pem(certificate))
        return key, certificate


def _begun(
    subject: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    expires: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, expires) - _CLOCK_SKEW)
        .not_valid_after(expires)
    )


def _publish(folder: Path, files: dict[str, str]) -> None:
    """Replace all files of a folder in one step: nobody sees a key beside another's certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    now = folder / _NOW
    before = now.resolve() if now.is_symlink() else None
    version = folder / f"..{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    version.mkdir(mode=0o700)
    for name, text in files.items():
        (version / name).write_text(text, encoding="utf-8")
        (version / name).chmod(0o600)
    draft = folder / f"{_NOW}.{os.getpid()}"
    draft.symlink_to(version.name)
    draft.replace(now)
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"{_NOW}/{name}")
    if before:
        shutil.rmtree(before, ignore_errors=True)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
