from __future__ import annotations

from voicemesh.audio import tonetext
from voicemesh.chaos.talk import ScriptedTalk


def test_the_seed_alone_decides_what_is_said() -> None:
    first, again, other = ScriptedTalk(1, 2), ScriptedTalk(1, 2), ScriptedTalk(2, 2)
    texts = [first.line(turn).text for turn in range(1, first.turns + 1)]
    assert texts == [again.line(turn).text for turn in range(1, again.turns + 1)]
    assert texts != [other.line(turn).text for turn in range(1, len(texts) + 1)]


def test_no_two_lines_of_a_run_are_the_same() -> None:
    talks = [ScriptedTalk(1, call) for call in range(20)]
    texts = [talk.line(turn).text for talk in talks for turn in range(1, talk.turns + 1)]
    assert len(set(texts)) == len(texts)


def test_a_line_says_its_words_and_is_answered_with_them() -> None:
    talk = ScriptedTalk(1, 5)
    lines = [talk.line(turn) for turn in range(1, 7)]
    assert sum(line.uses_tool for line in lines) == 2
    for turn, line in enumerate(lines, 1):
        assert tonetext.decode(line.samples) == line.text
        answer = talk.answer(turn, line.text, {line.text: "1000"})
        assert len(answer) == line.answers
        assert ("1000" in answer[0]) == line.uses_tool
