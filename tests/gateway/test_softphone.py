"""What the gateway serves of the softphone."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from gateway.softphone.pages import Pages
from voicemesh.bots import Bots
from voicemesh.errors import Denied

BOTS = Bots.load(Path(__file__).parents[2] / "bots")


def check(token: str) -> None:
    if token != "hush":  # noqa: S105
        raise Denied("the token is wrong or missing", reason="WRONG_TOKEN")


PAGES = Pages(lambda: BOTS, check)


def test_the_page_is_there_with_all_that_it_loads() -> None:
    page = PAGES.find("/softphone/?token=hush")
    assert page is not None
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    loaded = re.findall(r'(?:src|href)="([^":]+)"', page.body.decode())
    assert loaded == ["style.css", "softphone.js"]
    seen, waiting = set(), [*loaded, "sound.js"]
    while waiting:
        name = waiting.pop()
        seen.add(name)
        found = PAGES.find(f"/softphone/{name}")
        assert found is not None
        assert found.status is HTTPStatus.OK
        imported = re.findall(r'from "\./([^"]+)"', found.body.decode())
        waiting += [each for each in imported if each not in seen]
    assert seen == {"style.css", "softphone.js", "call.js", "sound.js"}


def test_the_page_may_load_nothing_from_elsewhere_and_stand_in_no_frame() -> None:
    page = PAGES.find("/softphone/index.html")
    assert page is not None
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_the_bare_path_leads_to_the_page_and_keeps_its_query() -> None:
    page = PAGES.find("/softphone?token=hush")
    assert page is not None
    assert (page.status, page.headers["Location"]) == (302, "/softphone/?token=hush")


def test_the_bots_are_listed_for_who_may_call() -> None:
    page = PAGES.find("/softphone/bots.json?token=hush")
    assert page is not None
    assert json.loads(page.body)["bots"][0] == {"name": "echo", "language": "en"}
    refused = PAGES.find("/softphone/bots.json")
    assert refused is not None
    assert refused.status is HTTPStatus.FORBIDDEN
    assert json.loads(refused.body)["reason"] == "WRONG_TOKEN"


@pytest.mark.parametrize("path", ["/softphone/nothing", "/softphone/../pages.py", "/softphone/x/y"])
def test_nothing_else_is_served(path: str) -> None:
    page = PAGES.find(path)
    assert page is not None
    assert page.status is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("path", ["/", "/softphones", "/carriers/browser", "/health"])
def test_other_paths_are_not_ours(path: str) -> None:
    assert PAGES.find(path) is None
