"""What follows from a tool's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adapters.language import Intent, Message
from adapters.llm.retrieval.calling import read_result
from adapters.llm.retrieval.speaking import filled
from adapters.llm.retrieval.state import Reply, Setting, Settled, State, Step, closed, slot_names
from voicemesh.bots import HANG_UP, TRANSFER


def learn(setting: Setting, state: State, message: Message) -> Step:
    """Take up a tool's answer."""
    call = state.calls.get(message.tool_call_id)
    intent = setting.intent(state.open)
    if call is not None and (intent is None or intent.tool != call.name):
        intent = setting.intent_with(call.name)
    if intent is None or intent.tool in (HANG_UP, TRANSFER):
        return state, Reply()
    slots = dict(state.slots) if state.open == intent.name else {}
    sent = call.arguments if call else slots
    slots |= {name: str(v) for name, v in sent.items() if name in slot_names(intent)}
    result = read_result(message.text)
    values = {**result.fields, **slots}
    if not result.ok:
        return _failed(setting, replace(state, slots=slots), intent, values)
    text = filled(intent.reply, values)
    key = result.key(sent)
    state = closed(_forget(state, sent, intent))
    known = {**state.known, **result.news(sent)}
    if key:
        state = replace(state, settled=Settled(intent.name, slots, key, text))
    return replace(state, known=known), Reply(text)


def _forget(state: State, sent: Mapping[str, object], intent: Intent) -> State:
    """Drop what was settled if another intent has just been carried out on it."""
    settled = state.settled
    if settled is None or settled.intent == intent.name or settled.key not in sent.values():
        return state
    known = {name: value for name, value in state.known.items() if value != settled.key}
    return replace(state, settled=None, known=known)


def _failed(setting: Setting, state: State, intent: Intent, values: Mapping[str, object]) -> Step:
    text = filled(intent.failure_reply, values) or setting.knowledge.unknown_reply
    asked = _doubtful(intent)
    if not asked:
        return closed(state), Reply(text)
    return replace(state, open=intent.name, asked=asked, failed=state.slots, misses=0), Reply(text)


def _doubtful(intent: Intent) -> str:
    """Return the slot that most likely made the tool refuse: it is asked for next."""
    for kinds in ({"time"}, {"date"}, {"digits", "number", "choice"}):
        if names := [slot.name for slot in intent.slots if slot.kind in kinds]:
            return names[-1]
    return ""
