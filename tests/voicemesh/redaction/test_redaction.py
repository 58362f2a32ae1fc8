from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from stdnum import luhn

from voicemesh.redaction import Redactor
from voicemesh.redaction.kinds import NATIONAL
from voicemesh.redaction.redactor import MAX_CHARACTERS
from voicemesh.redaction.spoken import Written

SPOKEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("my card is 4242 4242 4242 4242 thanks", "my card is [card] thanks"),
        ("4242424242424242", "[card]"),
        ("it's 4242-4242-4242-4242.", "it's [card]."),
        ("four two four two four two four two four two four two four two four two", "[card]"),
        ("double five " * 6 + "double four double four", "[card]"),
        ("write to ann.miller@example.com please", "write to [email] please"),
        ("it is ann dot miller at example dot com", "it is [email]"),
        ("call me on +49 30 901820", "call me on [phone]"),
        ("my number is (212) 555-0123", "my number is [phone]"),
        ("it's two one two five five five zero one two three", "it's [phone]"),
        (
            "my account is DE89 3704 0044 0532 0130 00 at the bank",
            "my account is [iban] at the bank",
        ),
        ("my social is 536-90-4399", "my social is [national_id]"),
        ("Call 212-555-0123 or mail a@b.co", "Call [phone] or mail [email]"),
    ],
)
def test_what_is_nobodys_business_is_taken_out(said: str, kept: str) -> None:
    assert Redactor().redact(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "I'd like to book for Tuesday at three in the afternoon.",
        "Meet me at noon. Thanks.",
        "my confirmation number is 4821",
        "one moment please, two of us are here at eight",
        "4242 4242 4242 4241",
        "in 2026, on the 22nd of November at 15:00",
        "that is 1,234,567 or so",
        "0000 0000 0000 0000",
        "",
    ],
)
def test_everything_else_is_left_alone(said: str) -> None:
    assert Redactor().redact(said) == said


def test_only_the_kinds_that_are_wanted() -> None:
    said = "4242424242424242 or a@b.co"
    assert Redactor(["email"]).redact(said) == "4242424242424242 or [email]"
    assert Redactor([]).redact(said) == said


def test_ids_are_those_of_the_countries_named() -> None:
    said = "meine Nummer ist 36 574 261 809"
    assert Redactor(["national_id"], ["de"]).redact(said) == "meine Nummer ist [national_id]"
    assert Redactor(["national_id"], ["us"]).redact(said) == said
    assert Redactor(["national_id"], ["es"]).redact("54362315K") == "[national_id]"


def test_every_country_of_the_table_has_rules() -> None:
    assert Redactor(["national_id"], list(NATIONAL)).redact("123456789 x") is not None


def test_values_of_json_are_redacted_and_keys_are_not() -> None:
    text = '{"a@b.co": ["a@b.co", 5, null, true, {"x": 4242424242424242}]}'
    kept = '{"a@b.co": ["[email]", 5, null, true, {"x": "[card]"}]}'
    assert Redactor().redact_json(text) == kept
    assert Redactor().redact_json('{"a":1}') == '{"a":1}'
    assert Redactor().redact_json("{a@b.co") == "{[email]"


def test_only_the_fields_that_hold_words() -> None:
    told = {"text": "a@b.co", "offset": "4242424242424242", "in": [{"result_json": '"a@b.co"'}]}
    assert Redactor().redact_fields(told, {"text", "result_json"}) == {
        "text": "[email]",
        "offset": "4242424242424242",
        "in": [{"result_json": '"[email]"'}],
    }


def test_what_is_too_long_to_look_through_is_not_shown() -> None:
    assert Redactor().redact("123 " * MAX_CHARACTERS) == "[too long]"


@given(
    start=st.text("0123456789", min_size=14, max_size=15).filter(lambda d: len(set(d)) > 2),
    gap=st.sampled_from(["", " ", "-"]),
    before=st.sampled_from(["", "card ", "Well, it is "]),
    after=st.sampled_from(["", " okay", ", thanks."]),
    spoken=st.booleans(),
)
def test_every_card_is_found_however_it_is_said(
    start: str, gap: str, before: str, after: str, spoken: bool
) -> None:
    number = start + luhn.calc_check_digit(start)
    said = " ".join(SPOKEN[int(d)] for d in number) if spoken else gap.join(number)
    assert Redactor(["card"]).redact(before + said + after) == f"{before}[card]{after}"


@given(text=st.text(max_size=120))
def test_every_character_keeps_its_place(text: str) -> None:
    written = Written(text)
    places = [written.place(i, i + 1) for i in range(len(written.text))]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)


@given(
    words=st.lists(st.sampled_from([*SPOKEN, "at", "dot", "double", "plus", "a", "1", ",", "@"]))
)
def test_nothing_breaks_and_what_was_redacted_stays_so(words: list[str]) -> None:
    once = Redactor().redact(" ".join(words))
    assert Redactor().redact(once) == once
