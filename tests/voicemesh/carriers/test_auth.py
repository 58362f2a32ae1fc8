"""Our checks of signatures, judged by the carriers' own: the same verdict on every request."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st
from plivo.utils.signature_v3 import (
    construct_get_url,
    construct_post_url,
    get_signature_v3,
    validate_v3_signature,
)
from pydantic import SecretStr
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

from voicemesh.carriers.auth.plivo import plivo
from voicemesh.carriers.auth.request import Request, Seen
from voicemesh.carriers.auth.teler import teler
from voicemesh.carriers.auth.telnyx import telnyx
from voicemesh.errors import Denied, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.carriers.auth.request import Check

URL = "https://edge.example.org/carriers/plivo/answer"
TOKEN = "token"  # noqa: S105 - nobody's
NOW = 1_800_000_000.0


def verdict(check: Check, request: Request, now: float = NOW) -> str:
    try:
        check(request, now)
    except Denied as denied:
        return denied.reason
    return "genuine"


fields = st.dictionaries(
    st.text("abAB1", min_size=1, max_size=4),
    st.lists(st.text("xyzé &=+.", max_size=4), min_size=1, max_size=2),
    max_size=4,
)
queries = st.lists(
    st.tuples(st.text("abA", min_size=1, max_size=3), st.text("xy +&.", max_size=3)), max_size=3
)


@given(fields, queries, st.sampled_from(["GET", "POST"]), st.sampled_from(["", "body", "nonce"]))
def test_plivos_package_and_we_agree(
    form: dict[str, list[str]], query: list[tuple[str, str]], method: str, tampered: str
) -> None:
    url = f"{URL}?{urlencode(query)}" if query else URL
    form = {} if method == "GET" else form
    body = urlencode(form, doseq=True).encode()
    read = parse_qs(body.decode(), keep_blank_values=True)
    address = construct_get_url(url, {}) if method == "GET" else construct_post_url(url, dict(read))
    signature = get_signature_v3(TOKEN.encode(), address.decode(), "n1").decode()
    if tampered == "body" and method == "POST":
        body += b"&more=1"
    nonce = "n2" if tampered == "nonce" else "n1"
    headers = {
        "x-plivo-signature-v3": f"bm90,{signature}",
        "x-plivo-signature-v3-nonce": nonce,
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    ours = verdict(plivo(SecretStr(TOKEN)), Request(method, url, headers, body))
    theirs = validate_v3_signature(
        method,
        url,
        nonce,
        TOKEN,
        f"bm90,{signature}",
        parse_qs(body.decode(), keep_blank_values=True),
    )
    assert (ours == "genuine") == theirs
    assert theirs == (not tampered or (tampered == "body" and method == "GET"))


def signed_by_plivo(**changed: str) -> Request:
    signature = get_signature_v3(TOKEN.encode(), f"{URL}?CallUUID1", "n1").decode()
    headers = {
        "x-plivo-signature-v3": signature,
        "x-plivo-signature-v3-nonce": "n1",
        "content-type": "application/x-www-form-urlencoded",
    }
    return Request("POST", URL, headers | changed, b"CallUUID=1")


def test_plivos_requests_are_refused_unsigned_of_another_kind_or_twice() -> None:
    check = plivo(SecretStr(TOKEN), Seen())
    for wrong in (
        signed_by_plivo(**{"x-plivo-signature-v3": ""}),
        signed_by_plivo(**{"x-plivo-signature-v3-nonce": ""}),
        signed_by_plivo(**{"content-type": "application/json"}),
    ):
        assert verdict(check, wrong) == "NOT_SIGNED"
    forged = signed_by_plivo(**{"x-plivo-signature-v3": "é"})
    assert verdict(check, forged) == "WRONG_SIGNATURE"
    assert verdict(check, signed_by_plivo()) == "genuine"
    assert verdict(check, signed_by_plivo()) == "REPLAYED"
    assert verdict(plivo(SecretStr("other")), signed_by_plivo()) == "WRONG_SIGNATURE"


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = b64encode(KEY.public_key().public_bytes_raw()).decode()


def signed_by_telnyx(body: bytes, at: float) -> dict[str, str]:
    stamp = str(int(at))
    signature = b64encode(KEY.sign(stamp.encode() + b"|" + body)).decode()
    return {"telnyx-signature-ed25519": signature, "telnyx-timestamp": stamp}


def accepted_by_telnyx(body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        verify_webhook_signature(body, headers, PUBLIC)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.parametrize("age", [-600, -310, -290, 0, 290, 310, 600])
@pytest.mark.parametrize("changed", ["nothing", "body", "time", "signature", "no time", "torn"])
def test_telnyx_package_and_we_agree(age: int, changed: str) -> None:
    now = time.time()  # theirs reads the clock
    body = b'{"data":{"event_type":"call.initiated"}}'
    headers = signed_by_telnyx(body, now - age)
    if changed == "body":
        body += b" "
    elif changed == "time":
        headers["telnyx-timestamp"] = str(int(now - age) + 1)
    elif changed == "signature":
        headers["telnyx-signature-ed25519"] = b64encode(bytes(64)).decode()
    elif changed == "no time":
        del headers["telnyx-timestamp"]
    elif changed == "torn":
        headers["telnyx-signature-ed25519"] = "AAAA"
    ours = verdict(telnyx(PUBLIC), Request("POST", URL, headers, body), now)
    assert (ours == "genuine") == accepted_by_telnyx(body, headers)
    assert (ours == "genuine") == (changed == "nothing" and abs(age) < 300)


def test_a_copy_of_telnyx_request_is_refused_and_odd_times_too() -> None:
    check = telnyx(PUBLIC, Seen())
    request = Request("POST", URL, signed_by_telnyx(b"{}", NOW), b"{}")
    assert verdict(check, request) == "genuine"
    assert verdict(check, request, NOW + 10) == "REPLAYED"
    for odd in ("-1", "1e9", "\u0661", "9" * 20):
        headers = signed_by_telnyx(b"{}", NOW) | {"telnyx-timestamp": odd}
        assert verdict(check, Request("POST", URL, headers, b"{}")) == "WRONG_SIGNATURE"
    for key in ("", "AAAA", "***"):
        with pytest.raises(Misconfigured):
            telnyx(key)


def test_frejuns_signature_covers_method_address_and_body() -> None:
    check = teler(SecretStr("secret"), Seen())
    # echo -n 'POSThttps://e.example/x{}' | openssl dgst -sha256 -hmac secret -binary | base64
    headers = {"frejun-signature": "WRjlNFp4i9RV1LzKsLWcI2ybN0DoxIwErwonQBbNgDA="}
    request = Request("POST", "https://e.example/x", headers, b"{}")
    assert verdict(check, request) == "genuine"
    assert verdict(check, request) == "REPLAYED"
    fresh = teler(SecretStr("secret"))
    for wrong in (
        Request("GET", "https://e.example/x", headers, b"{}"),
        Request("POST", "https://e.example/y", headers, b"{}"),
        Request("POST", "https://e.example/x", headers, b"{ }"),
    ):
        assert verdict(fresh, wrong) == "WRONG_SIGNATURE"
    assert verdict(fresh, Request("POST", "https://e.example/x", {}, b"{}")) == "NOT_SIGNED"


def test_what_was_seen_is_forgotten_after_the_window_and_beyond_the_limit() -> None:
    seen = Seen(window=10, most=2)
    seen.check("a", 0)
    with pytest.raises(Denied):
        seen.check("a", 9.9)
    seen.check("a", 10)
    seen.check("b", 11)
    seen.check("c", 11)  # pushes out a
    seen.check("a", 12)
    with pytest.raises(Denied):
        seen.check("c", 12)
