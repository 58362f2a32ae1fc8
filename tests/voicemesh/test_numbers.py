from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from voicemesh.bots.numbers import Entry, Numbers, check_numbers, spellings
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
numbers:
  - number: "+4930123456"
    bot: desk
    variables: {branch: berlin}
    calls_per_gateway: 2
  - number: "+4930*"
    bot: city
  - number: "+49*"
    bot: country
  - sip: "sip:sales@*"
    bot: sales
  - sip: "sips:sales@Example.com"
    bot: vip
  - application: "twilio/AC1"
    bot: app
  - application: "twilio/*"
    bot: apps
"""
BOTS = ("desk", "city", "country", "sales", "vip", "app", "apps")


def numbers(folder: Path, text: str = FILE) -> Numbers:
    path = folder / "numbers.yaml"
    path.write_text(text)
    return Numbers.load(path, BOTS)


@pytest.mark.parametrize(
    ("callee", "application", "bot"),
    [
        ("+4930123456", "", "desk"),
        ("+49 (30) 123-456", "", "desk"),
        ("+49301234567", "", "city"),
        ("+4930", "", "city"),
        ("+4989", "twilio/AC1", "country"),
        ("sip:sales@anywhere.net;transport=tls", "", "sales"),
        ("sips:sales@EXAMPLE.com:5061", "", "vip"),
        ("sip:+4930123456@trunk.example:5060", "", "desk"),
        ("", "twilio/AC1", "app"),
        ("+1212", "twilio/AC2", "apps"),
    ],
)
def test_the_entry_that_says_most_counts(
    tmp_path: Path, callee: str, application: str, bot: str
) -> None:
    entry = numbers(tmp_path).find(callee, application)
    assert entry is not None
    assert entry.bot == bot


@pytest.mark.parametrize("callee", ["", "+1", "sip:Sales@x", "sip:@", "sip:", "+493", "493012"])
def test_whatever_no_entry_is_for_is_found_nowhere(tmp_path: Path, callee: str) -> None:
    found = numbers(tmp_path).find(callee)
    assert found is None or found.pattern == "+49*"


def test_limits_are_by_entry(tmp_path: Path) -> None:
    assert numbers(tmp_path).limits == {"+4930123456": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numbers: [{number: '+49', bot: nobody}]", "1: numbers[0].bot: there is no bot 'nobody'"),
        ("numbers:\n- number: 4930\n  bot: desk", "2: numbers[0].number: must be text: put 4930"),
        ("numbers:\n- numbr: '1'\n  bot: desk", "2: numbers[0].numbr: unknown key; did you mean"),
        ("numbers:\n- bot: desk", "2: numbers[0]: give exactly one of number, sip and application"),
        ("numbers:\n- number: 'abc'\n  bot: desk", "2: numbers[0].number: must be like"),
        ("numbers:\n- sip: 'abc'\n  bot: desk", "2: numbers[0].sip: "),
        (
            "numbers:\n- {number: '10', bot: desk}\n- {number: '10', bot: desk}",
            "3: numbers[1].number: '10' is there twice",
        ),
        (
            "numbers:\n- {number: '10', bot: desk, calls_per_gateway: 0}",
            "2: numbers[0].calls_per_gateway: ",
        ),
        ("- 1", "1: a numbers file is a mapping"),
    ],
)
def test_a_mistake_is_told_with_line_and_field(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match="numbers") as caught:
        numbers(tmp_path, text)
    assert f"numbers.yaml:{said}" in caught.value.message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    problems = check_numbers(tmp_path / "none.yaml", BOTS)
    assert isinstance(problems, list)
    assert "cannot be read" in problems[0].message


@given(st.text(max_size=60))
def test_no_address_breaks_the_search(callee: str) -> None:
    table = Numbers((Entry(number="*", bot="desk"), Entry(sip="sip:*@*", bot="desk")))
    found = table.find(callee)
    assert (found is not None) == bool(spellings(callee))
