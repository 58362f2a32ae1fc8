"""A second SIP user agent, over TLS and SRTP: words both ways, digits, hold, transfer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.sip.support import caller_words, entries, phone_mesh, softphone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def certificate(folder: Path) -> Path:
    """Write a PEM file with a key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    form = serialization.PrivateFormat.PKCS8
    nothing = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, nothing)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_tls_and_srtp(tmp_path: Path) -> None:
    pem = str(certificate(tmp_path))
    listen = {"transports": ["tls"], "certificate": pem}
    account = {"transport": "tls", "extra_params": ["mediaenc=srtp-mand"]}
    async with phone_mesh(listen=listen, srtp="required") as phones:
        async with softphone(tmp_path, account=account, lines=["sip_verify_server no"]) as phone:
            phone.do("dial", to=f"sip:secure@127.0.0.1:{phones.port + 1};transport=tls")
            await phone.event("established")
            await phone.hears("Hello, this is the echo.")
            await phone.say("first of all")
            await phone.hears("You said: first of all. That was turn 1.")
            phone.do("digits", digits="42#")
            await phone.event("done")
            await phone.hears("You said: 42. That was turn 2.")
            phone.do("hold")
            await phone.event("done")
            phone.do("resume")
            await phone.event("done")
            phone.do("words")
            understood = (await phone.event("words"))["words"]
            await phone.say("Goodbye.")
            await phone.event("closed")
        record = await phones.record("secure")
    assert caller_words(record) == ["first of all", "Goodbye."]
    assert "".join(each["digits"] for each in entries(record, "digits_pressed")) == "42"
    assert record["reason"] == "bot_hung_up"
    # On a busy machine a packet may come late, and damage the sentence that it belongs to.
    planned = {each["text"] for each in entries(record, "sentence_planned")}
    assert planned & set(understood)


async def test_wideband_and_a_transfer(tmp_path: Path) -> None:
    account = {"audio_codecs": ["g722/16000/1"]}
    async with phone_mesh(codecs=["g722", "pcmu"]) as phones:
        async with softphone(tmp_path, account=account, rate=16000) as phone:
            phone.do("dial", to=f"sip:wide@127.0.0.1:{phones.port}")
            await phone.event("established")
            await phone.hears("Hello, this is the echo.")
            await phone.say("Transfer me.")
            asked = await phone.event("transfer")
        record = await phones.record("wide")
    assert asked["text"] == "sip:+15550100@127.0.0.1"
    assert record["reason"] == "transferred"
    assert next(entries(record, "call_started"))["sample_rate_hertz"] == 16000
