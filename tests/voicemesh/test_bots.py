from __future__ import annotations

from pathlib import Path

import pytest

from voicemesh.bots import Bot, Bots, HttpRequest, HttpTool, check
from voicemesh.errors import InvalidInput, Misconfigured, NotFound

GOOD = """\
greeting: Hello.
tools:
  - name: book
    description: Books.
    url: ${BOOK_URL:-http://127.0.0.1:1}/a
    parameters: {properties: {day: {type: string}}}
knowledge:
  facts:
    - questions: ["When are you open?"]
      answer: Always.
  intents:
    - name: book
      examples: [I want to book.]
      slots: [{name: day, kind: date, question: "Which day?"}]
      tool: book
      reply: Booked for {day}, {confirmation}.
    - name: bye
      examples: [Bye.]
      tool: hang_up
      reply: Bye.
    - name: person
      examples: [A person please.]
      tool: transfer
      target: "+15550100"
      reply: One moment.
engines:
  stt: [whisper]
  llm: [{name: openai, deadline_seconds: 2, model: small}, retrieval]
"""


def folder_with(tmp_path: Path, text: str, name: str = "desk") -> Path:
    (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_bot_is_named_after_its_file_and_has_defaults(tmp_path: Path) -> None:
    bot = Bots.load(folder_with(tmp_path, GOOD)).get("desk")
    assert bot.greeting == "Hello."
    assert [(e.name, e.deadline_seconds) for e in bot.engines.llm] == [
        ("openai", 2.0),
        ("retrieval", 3.0),
    ]
    assert bot.engines.tts[0].name == "hibari"
    assert bot.barge_in.enabled
    assert bot.silence.hang_up_after == 3


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    first = Bots.load(folder_with(tmp_path, GOOD)).get("desk")
    assert Bots.load(tmp_path).get("desk").digest == first.digest
    changed = Bots.load(folder_with(tmp_path, GOOD.replace("Always", "Never"))).get("desk")
    assert changed.digest != first.digest


def test_an_unknown_bot_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no bot 'dest'; there are: desk"):
        Bots.load(folder_with(tmp_path, GOOD)).get("dest")


def test_scripted_engines_replace_every_choice(tmp_path: Path) -> None:
    bot = Bots.load(folder_with(tmp_path, GOOD)).get("desk").with_engines("scripted")
    engines = bot.engines
    names = [[choice.name for choice in kind] for kind in (engines.stt, engines.llm, engines.tts)]
    assert names == [["scripted"], ["scripted"], ["scripted"]]


def test_knowledge_and_tools_are_converted_once(tmp_path: Path) -> None:
    bot = Bots.load(folder_with(tmp_path, GOOD)).get("desk")
    knowledge = bot.knowledge_proto()
    assert knowledge is bot.knowledge_proto()
    assert knowledge.facts[0].answer == "Always."
    assert list(knowledge.intents[2].slots[0].choices) == ["+15550100"]
    assert [tool.name for tool in bot.tool_declarations()] == ["book", "hang_up", "transfer"]
    assert '"enum": ["+15550100"]' in bot.tool_declarations()[2].parameters_json


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("greeting", "greting", 1, "greting: unknown key; did you mean 'greeting'?"),
        (
            "      answer: Always.",
            "      anser: Always.",
            9,
            "knowledge.facts[0].answer: this key is missing",
        ),
        ("kind: date", "kind: day", 14, "knowledge.intents[0].slots[0].kind: should be 'date'"),
        ('"+15550100"', "+15550100", 24, "target: must be text: put 15550100 in quotes"),
        ("tool: book", "tool: bok", 15, "there is no tool 'bok'"),
        ("name: day,", "name: date,", 14, "the tool 'book' has no parameter 'date'"),
        ("reply: Bye.", "reply: Bye {.", 20, "knowledge.intents[1].reply: "),
        ("target:", "targe:", 24, "targe: unknown key; did you mean 'target'?"),
        ("greeting: Hello.", "greeting: Hello.\ngreeting: Hi.", 2, "this key is there twice"),
        ("stt: [whisper]", "stt: []", 27, "engines.stt: Tuple should have at least 1"),
        ("deadline_seconds: 2", "deadline_seconds: 0", 28, "greater than 0"),
        ("greeting: Hello.", "greeting: [", 3, "no valid YAML"),
        ("name: bye", "name: book", 17, "another intent is named 'book'"),
        ("  - name: book", "  - name: hang_up", 3, "'hang_up' is built in"),
    ],
)
def test_a_problem_is_told_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, line: int, expected: str
) -> None:
    folder = folder_with(tmp_path, GOOD.replace(old, new, 1))
    problems = check(folder)
    assert any(expected in str(p) and p.line == line for p in problems), problems
    with pytest.raises(Misconfigured, match=r"desk\.yaml:\d+: "):
        Bots.load(folder)


def test_a_missing_variable_is_a_problem_only_when_checked(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, GOOD.replace("${BOOK_URL:-http://127.0.0.1:1}", "${BOOK_URL}"))
    assert len(Bots.load(folder)) == 1
    assert [p.message for p in check(folder, {})] == [
        "tool 'book': the environment has no BOOK_URL"
    ]
    assert check(folder, {"BOOK_URL": "http://here"}) == []


@pytest.mark.parametrize("content", ["", "- a list\n", "just text\n", "a: &x [*x]\n"])
def test_a_file_that_is_no_bot_is_told(tmp_path: Path, content: str) -> None:
    with pytest.raises(Misconfigured):
        Bots.load(folder_with(tmp_path, content))


def test_folders_without_bots_are_told(tmp_path: Path) -> None:
    assert "no bot file" in str(check(tmp_path)[0])
    assert "no such folder" in str(check(tmp_path / "nowhere")[0])


def test_two_files_may_not_have_the_same_bot(tmp_path: Path) -> None:
    folder_with(tmp_path, "name: one\n", "a")
    assert "another file has the bot 'one'" in str(check(folder_with(tmp_path, "name: one\n"))[0])


def test_arguments_go_into_the_path_the_body_or_the_query() -> None:
    tool = HttpTool(name="t", description="d", url="${BASE}/a/{id}", method="POST")
    assert tool.request({"id": "x/1", "n": 2}, {"BASE": "http://h"}) == HttpRequest(
        "POST", "http://h/a/x%2F1", {}, {"n": 2}
    )
    deleting = tool.model_copy(update={"method": "DELETE"})
    assert deleting.request({"id": 7, "n": 2}, {"BASE": ""}) == HttpRequest(
        "DELETE", "/a/7", {"n": "2"}, None
    )
    with pytest.raises(InvalidInput, match="needs it"):
        tool.request({}, {"BASE": ""})
    with pytest.raises(Misconfigured, match="no BASE"):
        tool.request({"id": 1}, {})


def test_bots_cannot_be_changed() -> None:
    bot = Bot(name="a")
    with pytest.raises(ValueError, match="frozen"):
        bot.greeting = "Hi"
    assert bot == Bot(name="a")
    assert hash(bot) == hash(Bot(name="a"))


@pytest.mark.parametrize(
    ("keypad", "said"),
    [
        ('{menu: {"12": A.}, most_digits: 1}', "1: keypad.menu.12: an input has at most 1 keys"),
        ('{menu: {"1#": A.}}', "1: keypad.menu.1#: '#' ends an input"),
        ("{secret_meaning: A.}", "1: keypad.secret_meaning: is for a keypad that is secret"),
        ('{menu: {"x": A.}}', "1: keypad.menu.x"),
        ('{terminator: "1"}', "1: keypad.terminator: "),
        ("{pause: 1}", "1: keypad.pause: unknown key; did you mean 'pause_seconds'?"),
    ],
)
def test_a_mistake_in_a_keypad_is_told(tmp_path: Path, keypad: str, said: str) -> None:
    (problem, *_) = check(folder_with(tmp_path, f"keypad: {keypad}"))
    assert f"desk.yaml:{said}" in str(problem)


def test_a_secret_needs_a_keypad_that_has_one(tmp_path: Path) -> None:
    tool = "{name: a, description: A., url: 'http://x', secret_digits: pin}"
    (problem,) = check(folder_with(tmp_path, f"tools:\n- {tool}"))
    assert str(problem).endswith("tools[0].secret_digits: needs a keypad that is secret")
    both = f"keypad: {{secret: true}}\ntools:\n- {tool}"
    assert not check(folder_with(tmp_path, both))
