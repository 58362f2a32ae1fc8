"""What ``BotService`` promises: a brain of somebody's own."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.json_format import MessageToDict

from voicemesh.api.bot.v1 import bot_pb2 as pb, bot_pb2_grpc
from voicemesh.conform.check import Check
from voicemesh.conform.talk import Subject, Talk, demand, fail

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8
CANCELLED = 20
MOST_WORDS = 2000
MOST_LINES = 200
MOST_VARIABLES, MOST_VARIABLE = 64, 2048
MOST_TARGET = 128

_KEYS = re.compile(r"[0-9*#A-D]{1,64}")


def _line(speaker: pb.Speaker.ValueType, text: str, tool: str = "") -> pb.Line:
    return pb.Line(speaker=speaker, text=text, tool=tool, arguments_json="{}" if tool else "")


def _request(subject: Subject, **other: Any) -> pb.AnswerRequest:  # noqa: ANN401
    said = "When do you open tomorrow?"
    asked: dict[str, Any] = {
        "key": "conform-1",
        "call_id": "conform",
        "bot": subject.engine,
        "turn": 1,
        "said": said,
        "transcript": [
            _line(pb.SPEAKER_BOT, "Good day. How can I help you?"),
            _line(pb.SPEAKER_CALLER, said),
        ],
    }
    return pb.AnswerRequest(**asked | other)


def _ask(subject: Subject, request: pb.AnswerRequest, *, secret: str = "", **how: Any) -> Talk:  # noqa: ANN401
    stub: Any = bot_pb2_grpc.BotServiceStub(subject.channel)
    known = secret or subject.secret
    metadata = (("authorization", f"Bearer {known}"),) if known else ()
    return Talk(stub.Answer(request, metadata=metadata, **how), subject.seconds)


async def _judged(subject: Subject, **other: Any) -> list[pb.AnswerResponse]:  # noqa: ANN401
    """Return an answer, each of its actions checked."""
    actions: list[pb.AnswerResponse] = await _ask(subject, _request(subject, **other)).rest()
    demand(actions, "ends with OK and does nothing: `listen` says that nothing is to be said")
    for action in actions:
        kind = action.WhichOneof("action")
        if kind is None:
            fail("a message without an action, or with one that the contract does not have")
        _CHECKS_OF.get(kind, lambda _: None)(getattr(action, kind))
    return actions


def _words(text: str) -> None:
    demand(0 < len(text) <= MOST_WORDS, f"{len(text)} characters in one action, 1 to {MOST_WORDS}")


def _asks_digits(asked: pb.AskDigits) -> None:
    demand(0 <= asked.most_digits <= 64, f"most_digits is {asked.most_digits}")
    demand(asked.terminator in ("", "#", "*"), f"terminator is {asked.terminator!r}")
    pause = asked.pause.ToTimedelta().total_seconds() if asked.HasField("pause") else 1.0
    demand(0.2 <= pause <= 30, f"pause is {pause:g} s")


def _sets(values: Any) -> None:  # noqa: ANN401 - google.protobuf.Struct
    known = MessageToDict(values)
    demand(len(known) <= MOST_VARIABLES, f"{len(known)} variables at once")
    longest = max((len(str(value).encode()) for value in known.values()), default=0)
    demand(longest <= MOST_VARIABLE, f"a variable of {longest} bytes")


_CHECKS_OF: dict[str, Callable[[Any], None]] = {
    "say": _words,
    "text": _words,
    "ask_digits": _asks_digits,
    "call_tool": lambda called: demand(called.name, "a tool without a name"),
    "transfer": lambda to: demand(0 < len(to.target) <= MOST_TARGET, "a transfer to nowhere"),
    "send_digits": lambda keys: demand(_KEYS.fullmatch(keys.digits), f"keys {keys.digits!r}"),
    "set": _sets,
    "go_to": lambda to: demand(to.state, "a state without a name"),
    "hand_over": lambda to: demand(to.bot, "a bot without a name"),
}


async def _answers(subject: Subject) -> None:
    await _judged(subject)


async def _opens(subject: Subject) -> None:
    await _judged(subject, turn=0, said="", transcript=[], key="conform-0")


async def _results(subject: Subject) -> None:
    transcript = [
        _line(pb.SPEAKER_CALLER, "Book me in."),
        _line(pb.SPEAKER_TOOL, '{"status": "unavailable"}', "book_appointment"),
    ]
    await _judged(subject, said="", transcript=transcript, key="conform-tool")


async def _long(subject: Subject) -> None:
    lines = [_line(pb.SPEAKER_BOT, "And then?"), _line(pb.SPEAKER_CALLER, "Then it rained.")]
    transcript = (lines * MOST_LINES)[:MOST_LINES]
    said = "Then it rained."
    await _judged(subject, turn=100, transcript=transcript, said=said, key="conform-long")


async def _same(subject: Subject) -> None:
    first = await _judged(subject, key="conform-same")
    again = await _judged(subject, key="conform-same")
    demand(first == again, "the same key gets another answer")


async def _stateless(subject: Subject) -> None:
    """Ask in the third turn of a call that the service has never heard of."""
    transcript = [
        _line(pb.SPEAKER_BOT, "Good day."),
        _line(pb.SPEAKER_CALLER, "Hello."),
        _line(pb.SPEAKER_BOT, "How can I help you?"),
        _line(pb.SPEAKER_CALLER, "Goodbye."),
    ]
    await _judged(subject, call_id="never-heard", turn=3, said="Goodbye.", transcript=transcript)


async def _cancelled(subject: Subject) -> None:
    for number in range(CANCELLED):
        talk = _ask(subject, _request(subject, key=f"conform-{number}"))
        if number % 2:
            await talk.next()
        talk.cancel()
    await _judged(subject)


async def _deadline(subject: Subject) -> None:
    ending = await _ask(subject, _request(subject), timeout=1.001).ending()
    allowed = (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED)
    demand(ending.code in allowed, f"ends with {ending.code.name}: {ending.text}")
    await _judged(subject)


async def _at_once(subject: Subject) -> None:
    calls = (f"conform-{number}" for number in range(AT_ONCE))
    await asyncio.gather(*(_judged(subject, call_id=call, key=f"{call}-1") for call in calls))


async def _slow_reader(subject: Subject) -> None:
    slow = [_ask(subject, _request(subject, key=f"conform-slow-{n}")) for n in range(4)]
    await _judged(subject)
    for talk in slow:
        demand(await talk.rest(), "an answer that is read late is lost")


async def _stranger(subject: Subject) -> None:
    if not subject.secret:
        return
    ending = await _ask(subject, _request(subject), secret="not-the-secret").ending()  # noqa: S106
    allowed = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    demand(ending.code in allowed, f"a wrong secret is answered with {ending.code.name}")


CHECKS = (
    Check("order", "a turn is answered: actions with something in them, then OK", _answers),
    Check("order", "the first words of a call, before anybody said anything", _opens),
    Check("order", "a tool's result, also of one that failed, is answered", _results),
    Check("order", f"a conversation of {MOST_LINES} lines is answered", _long),
    Check("order", "the same key gets the same answer", _same),
    Check("order", "a call it never heard of is taken up in the middle", _stateless),
    Check("cancellation", f"{CANCELLED} answers left halfway; the next is given", _cancelled),
    Check("deadlines", "a client's deadline ends the stream; the next is answered", _deadline),
    Check("back-pressure", "answers that are read late are complete", _slow_reader),
    Check("concurrency", f"{AT_ONCE} calls at once", _at_once),
    Check("bad input", "a wrong secret is refused (where --secret is given)", _stranger),
)
