from __future__ import annotations

import httpx

from voicemesh.chaos.caller import Held
from voicemesh.chaos.outcome import tool_findings
from voicemesh.chaos.talk import ScriptedTalk
from voicemesh.chaos.tools import Notes, NoteService
from voicemesh.chaos.verdict import Evidence, Loss


def call(*tools: str, failure: str = "") -> Held:
    evidence = Evidence("call-1", ScriptedTalk(1, 1), failure=failure)
    return Held(evidence, 0, 0.0, tools=list(tools))


async def test_the_service_does_a_thing_once_for_each_key() -> None:
    with NoteService(delay_seconds=0) as service:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:

            async def note(text: str, key: str) -> str:
                answer = await client.post(
                    "/note", json={"text": text}, headers={"Idempotency-Key": key}
                )
                return answer.text

            first = await note("one", "a")
            assert await note("one", "a") == first
            assert await note("one", "b") != first
            assert await note("two", "c") != first
    assert service.notes.effects() == {"one": 2, "two": 1}
    assert service.notes.results()["one"] == first
    assert service.notes.requests == 4


def test_work_that_is_asked_for_again_is_done_when_it_would_have_been() -> None:
    notes = Notes()
    assert [notes.begin(key, now) for key, now in (("a", 5.0), ("b", 5.5), ("a", 6.0))] == [0, 0, 1]


def test_a_tool_called_twice_or_never_is_found() -> None:
    effects = {"once": 1, "twice": 2}
    findings = tool_findings([call("once", "twice", "never")], effects)
    assert [finding.loss for finding in findings] == [Loss.TOOLS, Loss.TOOLS_LOST]


def test_what_a_lost_call_did_not_do_is_not_missed() -> None:
    assert tool_findings([call("never", failure="broke off")], {}) == []
