"""Signatures of Vonage, jambonz and Genesys, against what their makers publish and ship."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace

import jwt
import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from hypothesis import given, strategies as st
from jwt.warnings import InsecureKeyLengthWarning
from pydantic import SecretStr
from vonage_jwt import verify_signature

from voicemesh.carriers.auth.genesys import COVERED, genesys
from voicemesh.carriers.auth.jambonz import jambonz
from voicemesh.carriers.auth.request import Request, Seen
from voicemesh.carriers.auth.vonage import vonage
from voicemesh.errors import Denied, Misconfigured

NOW = 1_700_000_000.0
URL = "https://edge.example.com/carriers/answer"
KEY = "a-signature-secret-of-32-characters"
BODY = b'{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","from":"447700900000"}'


def refused(check: object, request: Request, now: float = NOW) -> str:
    assert callable(check)
    with pytest.raises(Denied) as caught:
        check(request, now)
    return caught.value.reason


# Vonage.


def signed_by_vonage(body: bytes = BODY, secret: str = KEY, **claims: object) -> Request:
    told = {"iat": int(NOW), "jti": "1", "iss": "Vonage", "api_key": "abcd1234"}
    if body:
        told["payload_hash"] = hashlib.sha256(body).hexdigest()
    token = jwt.encode({**told, **claims}, secret, algorithm="HS256")
    return Request("POST", URL, {"authorization": f"Bearer {token}"}, body)


def test_a_webhook_of_vonages_is_believed() -> None:
    vonage(SecretStr(KEY))(signed_by_vonage(), NOW)
    vonage(SecretStr(KEY))(replace(signed_by_vonage(b""), method="GET"), NOW)


@given(secret=st.text("abcdef0123456789", min_size=32, max_size=64), other=st.booleans())
def test_vonages_own_package_gives_the_same_verdict(secret: str, other: bool) -> None:
    request = signed_by_vonage(secret="x" * 32 if other else secret)
    token = request.headers["authorization"].removeprefix("Bearer ")
    try:
        vonage(SecretStr(secret))(request, NOW)
        believed = True
    except Denied:
        believed = False
    assert believed is verify_signature(token, secret)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("POST", URL, {}, BODY), "NOT_SIGNED"),
        (Request("POST", URL, {"authorization": "Basic abc"}, BODY), "NOT_SIGNED"),
        (Request("POST", URL, {"authorization": "Bearer abc"}, BODY), "WRONG_SIGNATURE"),
        (replace(signed_by_vonage(), body=BODY + b" "), "WRONG_SIGNATURE"),
        (replace(signed_by_vonage(b""), body=BODY), "NOT_SIGNED"),
        (signed_by_vonage(secret="y" * 32), "WRONG_SIGNATURE"),
        (signed_by_vonage(iat="soon"), "NOT_SIGNED"),
        (signed_by_vonage(iat=int(NOW) - 301), "REPLAYED"),
        (signed_by_vonage(iat=int(NOW) + 301), "REPLAYED"),
        (signed_by_vonage(payload_hash=7), "NOT_SIGNED"),
    ],
)
def test_what_vonage_did_not_sign_is_refused(request_: Request, reason: str) -> None:
    assert refused(vonage(SecretStr(KEY)), request_) == reason


def test_a_token_without_a_signature_is_refused() -> None:
    token = jwt.encode({"iat": int(NOW)}, "", algorithm="none")
    request = Request("GET", URL, {"authorization": f"Bearer {token}"})
    assert refused(vonage(SecretStr(KEY)), request) == "WRONG_SIGNATURE"


def test_a_short_secret_serves_with_a_warning() -> None:
    with pytest.warns(InsecureKeyLengthWarning):
        request = signed_by_vonage(secret="short")  # noqa: S106
    with pytest.warns(InsecureKeyLengthWarning):
        vonage(SecretStr("short"))(request, NOW)


def test_a_copy_of_vonages_is_refused() -> None:
    check = vonage(SecretStr(KEY), Seen())
    check(signed_by_vonage(), NOW)
    assert refused(check, signed_by_vonage(), NOW + 1) == "REPLAYED"
    check(signed_by_vonage(jti="2"), NOW)


# jambonz. Its packages have no verifier to run here; this signs as its servers do.


def signed_by_jambonz(time: float = NOW, body: bytes = BODY, key: str = KEY) -> Request:
    digest = hmac.new(key.encode(), f"{time:.0f}.".encode() + body, hashlib.sha256).hexdigest()
    return Request("POST", URL, {"jambonz-signature": f"t={time:.0f},v1={digest}"}, body)


def test_a_webhook_of_jambonz_is_believed() -> None:
    jambonz(SecretStr(KEY))(signed_by_jambonz(), NOW)
    two = signed_by_jambonz()
    rolled = {"jambonz-signature": two.headers["jambonz-signature"] + ",v1=" + "0" * 64}
    jambonz(SecretStr(KEY))(replace(two, headers=rolled), NOW)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("POST", URL, {}, BODY), "NOT_SIGNED"),
        (Request("POST", URL, {"jambonz-signature": "abc"}, BODY), "WRONG_SIGNATURE"),
        (Request("POST", URL, {"jambonz-signature": "t=x,v1=abc"}, BODY), "WRONG_SIGNATURE"),
        (Request("POST", URL, {"jambonz-signature": f"t={NOW:.0f}"}, BODY), "WRONG_SIGNATURE"),
        (replace(signed_by_jambonz(), body=BODY + b" "), "WRONG_SIGNATURE"),
        (signed_by_jambonz(key="y"), "WRONG_SIGNATURE"),
        (signed_by_jambonz(NOW - 301), "REPLAYED"),
        (signed_by_jambonz(NOW + 301), "REPLAYED"),
    ],
)
def test_what_jambonz_did_not_sign_is_refused(request_: Request, reason: str) -> None:
    assert refused(jambonz(SecretStr(KEY)), request_) == reason


def test_a_copy_of_jambonz_is_refused() -> None:
    check = jambonz(SecretStr(KEY), Seen())
    check(signed_by_jambonz(), NOW)
    assert refused(check, signed_by_jambonz()) == "REPLAYED"


# Genesys.

API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
CLIENT_KEY = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
CREATED = 1641013200
UPGRADE = Request(
    "GET",
    "wss://audiohook.example.com/api/v1/voicebiometrics/ws",
    {
        "host": "10.0.0.1:8080",  # what a proxy made of it; the public address counts
        "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
        "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
        "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
        "x-api-key": API_KEY,
        "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
        "signature-input": 'sig1=("@request-target" "@authority" "audiohook-organization-id" '
        '"audiohook-session-id" "audiohook-correlation-id" "x-api-key");'
        f'keyid="{API_KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";'
        f"created={CREATED};expires=3282026430",
    },
)
"""The example of Genesys' documentation."""


def with_headers(**changes: str) -> Request:
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {name: value for name, value in {**UPGRADE.headers, **changed}.items() if value}
    return replace(UPGRADE, headers=headers)


def test_the_upgrade_of_genesys_documentation_is_believed() -> None:
    genesys(SecretStr(API_KEY), SecretStr(CLIENT_KEY))(UPGRADE, CREATED + 5.0)


@pytest.mark.parametrize(
    ("request_", "now", "reason"),
    [
        (UPGRADE, CREATED + 14.0, "REPLAYED"),
        (UPGRADE, CREATED - 4.0, "REPLAYED"),
        (replace(UPGRADE, url="wss://another.example.com/ws"), CREATED, "WRONG_SIGNATURE"),
        (with_headers(x_api_key="another"), CREATED, "WRONG_KEY"),
        (with_headers(x_api_key=""), CREATED, "NOT_SIGNED"),
        (with_headers(signature=""), CREATED, "NOT_SIGNED"),
        (with_headers(signature="sig1=:AAAA:"), CREATED, "WRONG_SIGNATURE"),
        (with_headers(signature="nonsense"), CREATED, "WRONG_SIGNATURE"),
        (with_headers(audiohook_session_id="another"), CREATED, "WRONG_SIGNATURE"),
    ],
)
def test_what_genesys_did_not_sign_is_refused(request_: Request, now: float, reason: str) -> None:
    check = genesys(SecretStr(API_KEY), SecretStr(CLIENT_KEY))
    assert refused(check, request_, now) == reason


@dataclass
class Upgrade:
    """A request as the library that signs it wants it."""

    method: str = "GET"
    url: str = "https://audiohook.example.com/ws"
    headers: dict[str, str] = field(default_factory=lambda: dict(with_headers().headers))


class Key(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> bytes:
        return b"MySuperSecretKeyTellNo-1!2@3#4$5"


def signed(covered: tuple[str, ...], nonce: str, keyid: str = API_KEY) -> Request:
    message = Upgrade()
    del message.headers["signature"], message.headers["signature-input"]
    signer = HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Key())
    signer.sign(message, key_id=keyid, nonce=nonce, covered_component_ids=covered)
    headers = {name.lower(): value for name, value in message.headers.items()}
    return Request("GET", "wss://audiohook.example.com/ws", headers)


@pytest.mark.parametrize("left_out", COVERED)
def test_a_signature_that_covers_too_little_is_refused(left_out: str) -> None:
    check = genesys(SecretStr(API_KEY), SecretStr(CLIENT_KEY))
    request = signed(tuple(c for c in COVERED if c != left_out), "n" * 22)
    assert refused(check, request) == "WRONG_SIGNATURE"


def test_a_signature_by_another_key_or_with_a_short_nonce_is_refused() -> None:
    check = genesys(SecretStr(API_KEY), SecretStr(CLIENT_KEY))
    assert refused(check, signed(COVERED, "n" * 22, keyid="another")) == "WRONG_SIGNATURE"
    created = _created(signed(COVERED, "n" * 21))
    assert refused(check, signed(COVERED, "n" * 21), created) == "NOT_SIGNED"


def _created(request: Request) -> float:
    return float(request.headers["signature-input"].partition("created=")[2].partition(";")[0])


def test_a_nonce_serves_once() -> None:
    check = genesys(SecretStr(API_KEY), SecretStr(CLIENT_KEY), Seen())
    check(UPGRADE, CREATED)
    assert refused(check, UPGRADE, CREATED + 1.0) == "REPLAYED"


def test_without_a_client_secret_the_api_key_is_enough() -> None:
    check = genesys(SecretStr(API_KEY), SecretStr(""))
    check(with_headers(signature="", signature_input=""), NOW)
    assert refused(check, with_headers(x_api_key="another"), NOW) == "WRONG_KEY"


def test_a_client_secret_that_is_none_is_named() -> None:
    with pytest.raises(Misconfigured, match="base64"):
        genesys(SecretStr(API_KEY), SecretStr("no base64!"))
