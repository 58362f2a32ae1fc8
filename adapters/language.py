"""What a language engine is given and gives back; the servicer turns protos into these.

An engine is one module in ``adapters/llm/`` and one line in the table ``adapters.llm.ENGINES``,
which maps its name to a factory. The factory imports what the engine needs, so that a process
loads only what it hosts, and raises ``errors.MissingModel`` if a package is not there::

    ENGINES: Mapping[str, LanguageEngineFactory] = {"retrieval": _retrieval, ...}
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from adapters.config import AdapterSettings


class Role(enum.Enum):
    """Who says a message."""

    SYSTEM = "system"
    CALLER = "caller"
    BOT = "bot"
    TOOL = "tool"


class FinishReason(enum.Enum):
    """Why a reply finished."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool to call, or in a message one that was called."""

    id: str
    """Identity within the conversation."""
    name: str
    arguments_json: str
    """A JSON object."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: Role
    text: str = ""
    """Words; for ``Role.TOOL`` the result as JSON."""
    tool_calls: tuple[ToolCall, ...] = ()
    """For ``Role.BOT``: the tools that it called."""
    tool_call_id: str = ""
    """For ``Role.TOOL``: the call that is answered."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that may be called."""

    name: str
    description: str
    parameters_json: str
    """JSON Schema of its arguments."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that the bot can state."""

    questions: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Slot:
    """Something that must be known before an intent is carried out."""

    name: str
    kind: str
    """One of date, time, number, digits, name, choice, text."""
    question: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """Something that callers want."""

    name: str
    examples: tuple[str, ...]
    slots: tuple[Slot, ...] = ()
    tool: str = ""
    reply: str = ""
    failure_reply: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the bot knows, from its own file."""

    facts: tuple[Fact, ...] = ()
    intents: tuple[Intent, ...] = ()
    unknown_reply: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What is to be answered; the servicer has checked every limit of the contract."""

    messages: tuple[Message, ...]
    """The conversation so far, oldest first, at least one."""
    model: str = ""
    """Empty: the engine's own. An engine raises ``errors.NotFound`` for one it does not have."""
    tools: tuple[Tool, ...] = ()
    knowledge: Knowledge = field(default_factory=Knowledge)
    max_tokens: int = 256
    temperature: float | None = None
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Further words; concatenated they are the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The reply is complete; the last thing that an engine gives."""

    reason: FinishReason = FinishReason.STOP


Piece: TypeAlias = TextPiece | ToolCall | Finished


class LanguageEngine(Protocol):
    """Answers in words. One instance serves all calls of its process."""

    async def start(self) -> None:
        """Load models and warm up; nothing is generated before it returns."""

    def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Give the reply piece by piece, ``Finished`` last.

        Called on the event loop, so long work belongs in a thread. When the caller cancels, the
        generator is closed: it must then stop working and free everything at once. Raise
        ``errors.Refused`` before the first piece when full, ``errors.Unavailable`` when a provider
        is gone. Do not raise for an empty reply: the servicer does.
        """
        ...

    async def stop(self) -> None:
        """Free everything; ``generate`` is not called any more."""


LanguageEngineFactory: TypeAlias = "Callable[[AdapterSettings], LanguageEngine]"
