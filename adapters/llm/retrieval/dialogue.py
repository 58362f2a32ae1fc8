"""The conversation, folded from its messages: what is open, known, asked, and said next.

``answer`` is a pure function of the messages, so any replica answers alike, and nothing needs to
be kept between two requests. An *open* intent is being talked about: its slots are asked for one
by one. A *settled* one has been carried out, and may still be corrected.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import replace

from adapters.language import Intent, Message, Role, Slot
from adapters.llm.retrieval import hearing
from adapters.llm.retrieval.calling import (
    REPLACES,
    Call,
    arguments_for,
    parameters,
    read_arguments,
)
from adapters.llm.retrieval.learning import learn
from adapters.llm.retrieval.matching import MEANT, SURE, about
from adapters.llm.retrieval.slots import constants
from adapters.llm.retrieval.speaking import echo, filled
from adapters.llm.retrieval.state import (
    Reply,
    Setting,
    Settled,
    State,
    Step,
    closed,
    missing,
    slot_names,
)
from adapters.llm.retrieval.understanding import Heard, read, understand
from adapters.llm.retrieval.words import tokens
from voicemesh.bots import HANG_UP, TRANSFER

_MISSES = 3
"""Times in a row that an answer may not be understood before the matter is dropped."""

NOT_CAUGHT = "Sorry, I didn't catch that."
DROPPED = "All right. Is there anything else?"
GO_ON = "Please go on."
TAKE_TIME = "Take your time."

_TODAY = re.compile(r"Today is \w+, (\d{4}-\d\d-\d\d)")


def today_of(messages: tuple[Message, ...]) -> datetime.date:
    """Return the day that the instructions name; the clock's if they name none."""
    for message in messages:
        if message.role is Role.SYSTEM and (match := _TODAY.search(message.text)):
            return datetime.date.fromisoformat(match[1])
    return datetime.datetime.now().astimezone().date()


def answer(setting: Setting, messages: tuple[Message, ...]) -> Reply:
    """Return what the bot says and does next."""
    state, reply = State(), Reply()
    for message in messages:
        if message.role is Role.CALLER:
            state, reply = _hear(setting, state, message.text)
        elif message.role is Role.TOOL:
            state, reply = learn(setting, state, message)
        elif message.role is Role.BOT and message.tool_calls:
            state = replace(state, calls={**state.calls, **_calls(message)})
        state = replace(state, said=reply.text or state.said)
    if messages and messages[-1].role is Role.BOT:
        return _rest(reply, messages[-1])
    return reply


def _calls(message: Message) -> dict[str, Call]:
    return {
        call.id: Call(call.name, read_arguments(call.arguments_json)) for call in message.tool_calls
    }


def _rest(reply: Reply, spoken: Message) -> Reply:
    """Return what is left of a reply of which the beginning was spoken already."""
    called = {call.name for call in spoken.tool_calls}
    call = None if reply.call and reply.call.name in called else reply.call
    begun = spoken.text.strip()
    text = reply.text[len(begun) :].lstrip() if reply.text.startswith(begun) else reply.text
    return Reply(text, call)


def _hear(setting: Setting, state: State, text: str) -> Step:
    if small := _small(state, text):
        return small
    heard = understand(setting, state, text)
    wish = heard.wish.topic if heard.wish else None
    if state.settled and _asks_back(setting, state, heard, text):
        return state, Reply(state.settled.text)
    if isinstance(wish, Intent) and _turns(state, heard, wish, text):
        return _begin(setting, state, wish, heard)
    if state.open:
        return _go_on(setting, state, heard, text)
    if state.settled and heard.values:
        return _correct(setting, state, state.settled, heard)
    return _talk(setting, state, heard, text)


def _small(state: State, text: str) -> Step | None:
    """Answer an utterance that is about the conversation itself."""
    if state.offered and hearing.says_no(text, words=3):
        return replace(state, offered=""), Reply(DROPPED)
    for hears, said in (
        (hearing.asks_to_repeat, state.said),
        (hearing.asks_to_wait, TAKE_TIME),
        (hearing.is_beginning, GO_ON),
    ):
        if said and hears(text):
            return state, Reply(said)
    return None


def _asks_back(setting: Setting, state: State, heard: Heard, text: str) -> bool:
    """Whether it asks what has been arranged ("when is my appointment?")."""
    intent = setting.intent(state.settled.intent) if state.settled else None
    if intent is None or state.open or heard.facts or not hearing.asks_about_own(text):
        return False
    known = " ".join([*intent.examples, *slot_names(intent), *state.known])
    return not set(tokens(about(known))).isdisjoint(tokens(about(text)))


def _turns(state: State, heard: Heard, wish: Intent, text: str) -> bool:
    """Whether the caller begins something, rather than going on with what there is."""
    if wish.name == state.open:
        return False
    if heard.values and heard.wish and heard.wish.score < SURE:
        return False
    settled = state.settled.intent if state.settled and not state.open else ""
    return not (wish.name == settled and heard.values and hearing.corrects(text))


def _begin(setting: Setting, state: State, intent: Intent, heard: Heard) -> Step:
    """Open an intent, with all that was said about it in the same breath."""
    new = {slot.name for slot in intent.slots}
    slots = {name: value for name, value in state.known.items() if name in new}
    said = read(setting, state, intent.slots, heard.said, asked="")
    state = replace(
        state,
        open=intent.name,
        slots={**slots, **constants(intent.slots), **said},
        asked="",
        misses=0,
        replacing=False,
        failed=None,
        offered="",
    )
    return _advance(setting, state, intent, _facts(heard), said)


def _go_on(setting: Setting, state: State, heard: Heard, text: str) -> Step:
    """Go on with the open intent."""
    intent = setting.intent(state.open)
    if intent is None:
        return _talk(setting, replace(state, open=""), heard, text)
    if hearing.abandons(text) or (state.failed is not None and _refuses(heard, text)):
        return closed(state), Reply(DROPPED)
    changed = {name: v for name, v in heard.values.items() if state.slots.get(name) != v}
    if changed or heard.facts or heard.wish:
        state = replace(state, slots={**state.slots, **changed}, misses=0)
        return _advance(setting, state, intent, _facts(heard), changed)
    if missing(intent, state.slots) is None and state.failed != state.slots:
        return _advance(setting, state, intent, "", {})
    return _miss(setting, state, intent, text)


def _refuses(heard: Heard, text: str) -> bool:
    return hearing.says_no(text) and not heard.values


def _miss(setting: Setting, state: State, intent: Intent, text: str) -> Step:
    """Ask again, a few times."""
    misses = state.misses + 1
    if misses >= _MISSES:
        return _unknown(setting, closed(state))
    slot = missing(intent, state.slots) or _slot(intent, state.asked)
    question = slot.question if slot else ""
    sorry = "" if hearing.says_yes(text) else NOT_CAUGHT
    return replace(state, misses=misses), Reply(_joined(sorry, question))


def _correct(setting: Setting, state: State, settled: Settled, heard: Heard) -> Step:
    """Carry out a settled intent once more, with what the caller changed."""
    intent = setting.intent(settled.intent)
    changed = {name: v for name, v in heard.values.items() if settled.slots.get(name) != v}
    if intent is None or not changed:
        return state, Reply(_joined(_facts(heard), settled.text))
    state = replace(
        state,
        open=intent.name,
        slots={**settled.slots, **changed},
        asked="",
        misses=0,
        replacing=True,
        failed=None,
        offered="",
    )
    return _advance(setting, state, intent, _facts(heard), changed)


def _advance(
    setting: Setting, state: State, intent: Intent, first: str, new: Mapping[str, str]
) -> Step:
    """Ask for what is missing, else carry the intent out."""
    slot = missing(intent, state.slots)
    if slot is None and state.failed == state.slots:
        slot = _slot(intent, state.asked)
    if slot is not None:
        heard = echo([new[s.name] for s in intent.slots if s.name in new and s.kind in _ECHOED])
        return replace(state, asked=slot.name), Reply(_joined(first, heard, slot.question))
    return _carry_out(setting, state, intent, first)


_ECHOED = frozenset({"date", "time"})


def _carry_out(setting: Setting, state: State, intent: Intent, first: str) -> Step:
    tool = setting.tool(intent.tool)
    if intent.tool in (HANG_UP, TRANSFER) or not intent.tool:
        text = _joined(first, filled(intent.reply, state.slots))
        call = Call(intent.tool, dict(state.slots)) if tool else None
        return closed(state), Reply(text, call)
    if tool is None:
        return _unknown(setting, closed(state), first)
    known = {name: value for name, value in state.known.items() if name in parameters(tool)}
    known = {name: value for name, value in known.items() if name not in slot_names(intent)}
    if state.replacing and state.settled and REPLACES in parameters(tool):
        known[REPLACES] = state.settled.key
    call = Call(tool.name, arguments_for(tool, intent, state.slots, known))
    return replace(state, asked=""), Reply(first, call)


def _talk(setting: Setting, state: State, heard: Heard, text: str) -> Step:
    """Answer what has nothing to do with an intent."""
    if heard.facts:
        return replace(state, offered=""), Reply(_facts(heard))
    offered = setting.intent(state.offered)
    if offered and hearing.says_yes(text):
        return _begin(setting, state, offered, heard)
    farewell = setting.intent_with(HANG_UP)
    if farewell and hearing.says_no(text):
        return _begin(setting, state, farewell, heard)
    if hearing.says_yes(text):
        return state, Reply(GO_ON)
    return _unknown(setting, state)


def _unknown(setting: Setting, state: State, first: str = "") -> Step:
    """Say that the bot does not know, and take a yes up on what it offers with that."""
    line = setting.knowledge.unknown_reply
    offer = setting.search(hearing.clauses(line)[-1]) if hearing.clauses(line) else None
    meant = offer is not None and offer.score >= MEANT and isinstance(offer.topic, Intent)
    name = offer.topic.name if meant and offer and isinstance(offer.topic, Intent) else ""
    return replace(state, offered=name), Reply(_joined(first, line))


def _slot(intent: Intent, name: str) -> Slot | None:
    return next((slot for slot in intent.slots if slot.name == name), None)


def _facts(heard: Heard) -> str:
    return _joined(*(fact.answer for fact in heard.facts))


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
