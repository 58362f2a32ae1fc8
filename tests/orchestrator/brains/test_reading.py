"""Answers as they may come over the wire: whatever the pieces, the actions are the same."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestrator.brains.actions import MAX_ACTIONS, MAX_WORDS, Answer
from orchestrator.brains.reading import MAX_ANSWER_BYTES, MAX_LINE_BYTES, reader
from orchestrator.events import TextArrived, ThoughtFinished, ToolRequested
from voicemesh.errors import InvalidInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
ACTIONS = st.lists(st.dictionaries(st.text(max_size=8), JSON, min_size=1, max_size=2), max_size=8)


def read(content_type: str, body: bytes, cuts: list[int]) -> list[object]:
    known = reader(content_type)
    found: list[object] = []
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    for begin, end in pairwise(places):
        found += known.feed(body[begin:end])
    return [*found, *known.finish()]


def body_of(content_type: str, actions: list[Any], *, ascii_only: bool, end: str) -> bytes:
    texts = [json.dumps(action, ensure_ascii=ascii_only) for action in actions]
    if content_type == "application/json":
        return json.dumps(actions, ensure_ascii=ascii_only).encode()
    if content_type == "text/event-stream":
        return "".join(f": hello{end}event: x{end}data:{text}{end}{end}" for text in texts).encode()
    return "".join(f"{text}{end}" for text in texts).encode()


@given(
    content_type=st.sampled_from(
        ["application/json", "application/x-ndjson", "application/jsonl", "text/event-stream"]
    ),
    actions=ACTIONS,
    ascii_only=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
def test_pieces_do_not_matter(
    content_type: str, actions: list[Any], ascii_only: bool, end: str, cuts: list[int]
) -> None:
    body = body_of(content_type, actions, ascii_only=ascii_only, end=end)
    assert read(f"{content_type}; charset=utf-8", body, cuts) == actions


@given(body=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=5))
@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/event-stream"])
def test_anything_is_read_or_refused(kind: str, body: bytes, cuts: list[int]) -> None:
    with suppress(InvalidInput):
        for action in read(kind, body, cuts):
            list(Answer(1).take(action))


def test_a_line_is_there_as_soon_as_it_is_complete() -> None:
    known = reader("application/x-ndjson")
    assert list(known.feed(b'{"say": "a"}')) == []
    assert list(known.feed(b"\n{")) == [{"say": "a"}]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b" " * (MAX_ANSWER_BYTES + 1)),
        ("application/x-ndjson", b"\n" * (MAX_ANSWER_BYTES + 1)),
        ("application/x-ndjson", b" " * (MAX_LINE_BYTES + 1)),
        ("text/event-stream", b"data: " + b"1" * (MAX_LINE_BYTES + 1)),
        ("text/event-stream", b"data: 1\n" * (MAX_LINE_BYTES + 1)),
    ],
)
def test_too_long_is_refused_before_it_is_all_there(kind: str, body: bytes) -> None:
    with pytest.raises(InvalidInput, match="more than"):
        read(kind, body + b"\n" * 3, list(range(0, len(body), 4096)))


def pieces(*actions: object) -> list[object]:
    answer = Answer(7)
    found = [piece for action in actions for piece in answer.take(action)]
    return [*found, *answer.finish()]


def test_words_and_tools() -> None:
    assert pieces({"say": "Hello."}, {"text": "How "}, {"text": "are you?"}, {"hang_up": True}) == [
        TextArrived(7, "Hello.\n", 0.0),
        TextArrived(7, "How ", 0.0),
        TextArrived(7, "are you?", 0.0),
        ToolRequested(7, "hang_up", "{}"),
        ThoughtFinished(7),
    ]


@pytest.mark.parametrize(
    ("action", "name", "arguments"),
    [
        ({"listen": True}, "listen", {}),
        ({"ask_digits": True}, "ask_digits", {}),
        ({"ask_digits": {"most_digits": 4}}, "ask_digits", {"most_digits": 4}),
        ({"call_tool": {"name": "look"}}, "look", {}),
        ({"transfer": "+1"}, "transfer", {"target": "+1"}),
        ({"send_digits": "1#"}, "send_digits", {"digits": "1#"}),
        ({"go_to": "next"}, "go_to", {"target": "next"}),
        ({"hand_over": {"bot": "b"}}, "hand_over", {"target": "b", "variables": {}}),
    ],
)
def test_each_action_is_a_tool(action: object, name: str, arguments: dict[str, Any]) -> None:
    assert pieces(action)[0] == ToolRequested(7, name, json.dumps(arguments))


def test_an_answer_that_only_sets_something_is_for_listening() -> None:
    names = [p.name for p in pieces({"set": {"a": 1}}) if isinstance(p, ToolRequested)]
    assert names == ["remember", "listen"]
    said = pieces({"say": "Noted."}, {"set": {"a": 1}})
    assert [p.name for p in said if isinstance(p, ToolRequested)] == ["remember"]
    asked = pieces({"set": {"a": 1}}, {"call_tool": {"name": "look"}})
    assert [p.name for p in asked if isinstance(p, ToolRequested)] == ["remember", "look"]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("hello", r"actions\[0\]: must be an object"),
        ({"say": "a", "listen": True}, "one key"),
        ({"say": ""}, r"actions\[0\].say: must be 1 to"),
        ({"say": "x" * (MAX_WORDS + 1)}, "must be 1 to"),
        ({"sing": "la"}, "there is no such action; there are: say, text, listen"),
        ({"transfer": 5}, r"actions\[0\].transfer: cannot be 5"),
        ({"call_tool": {}}, "call_tool: cannot be"),
        ({"set": [1]}, "set: cannot be"),
    ],
)
def test_what_is_no_action_is_told(action: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        pieces(action)


def test_an_answer_has_an_end() -> None:
    with pytest.raises(InvalidInput, match="more than"):
        pieces(*[{"say": "a"}] * (MAX_ACTIONS + 1))
