"""What a bot file says, as frozen values. Every field's docstring is its documentation."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from voicemesh.bots import convert
from voicemesh.bots.brain import Brain, Flow, State
from voicemesh.bots.built_in import HAND_OVER
from voicemesh.bots.mcp import PARTING, McpServer, McpTool
from voicemesh.bots.parts import (
    Keys,
    Name,
    Part as _Part,
    Phrase,
    Seconds,
    ToolName,
    Variable,
    Words,
    filled,
)
from voicemesh.errors import InvalidInput
from voicemesh.redaction.names import USUAL, Country, Kind

if TYPE_CHECKING:
    from voicemesh.api.language.v1 import language_pb2

_IN_PATH = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


class Fact(_Part):
    """A fact that the bot can state."""

    questions: tuple[Phrase, ...] = Field(min_length=1, max_length=50)
    """Questions that it answers, as callers put them; three or four differing ones are best."""
    answer: Words
    """The answer, as it is to be spoken."""


class Slot(_Part):
    """Something that must be known before an intent can be carried out."""

    name: Name
    """Name; also the tool's argument and the placeholder in replies."""
    kind: Literal["date", "time", "number", "digits", "name", "choice", "text"]
    """How to read it."""
    question: Words
    """What to ask for it."""
    choices: tuple[Phrase, ...] = Field(default=(), max_length=50)
    """For kind ``choice``: the values."""


class Intent(_Part):
    """Something that callers want."""

    name: Name
    """Name, unique within the bot."""
    examples: tuple[Phrase, ...] = Field(min_length=1, max_length=50)
    """How callers put it."""
    slots: tuple[Slot, ...] = Field(default=(), max_length=16)
    """What must be known first, in the order in which it is asked for."""
    tool: str = ""
    """Tool to call then: one of ``tools``, or ``hang_up``, ``transfer``, ``go_to``, ``hand_over``;
    empty calls none."""
    target: str = Field(default="", max_length=128)
    """For ``transfer`` the number or address, in quotes; for ``go_to`` the state; for ``hand_over``
    the bot."""
    reply: str = Field(default="", max_length=2000)
    """What to say then; {name} is replaced by a slot or by a field of the tool's result."""
    failure_reply: str = Field(default="", max_length=2000)
    """What to say when the tool failed."""


class Knowledge(_Part):
    """What the bot knows and can do."""

    facts: tuple[Fact, ...] = Field(default=(), max_length=500)
    """What it can state."""
    intents: tuple[Intent, ...] = Field(default=(), max_length=64)
    """What callers want from it."""
    unknown_reply: Words = "I'm sorry, I don't know that."
    """What it says when it does not know."""


class HttpRequest(NamedTuple):
    """What to send for a tool call."""

    method: str
    url: str
    query: dict[str, str]
    body: dict[str, Any] | None


class HttpTool(_Part):
    """An HTTP service that the bot can call."""

    name: ToolName
    """Name, unique within the bot."""
    description: Words
    """What it does and when to call it; language models read it."""
    url: str = Field(min_length=1, max_length=2000)
    """Address. ``${NAME}`` and ``${NAME:-default}`` are taken from the environment, ``{argument}``
    from the arguments."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    """GET and DELETE send the arguments as query, the others as a JSON object."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of the arguments; ``type: object`` need not be said."""
    timeout_seconds: Seconds = 5.0
    """How long an answer may take, seconds, up to 60."""
    filler: str = Field(default="", max_length=300)
    """What to say while waiting; empty says nothing."""
    secret_digits: str = Field(default="", pattern=r"^[a-zA-Z0-9_-]{0,64}$")
    """Argument that gets the newest secret input of the keypad, which no model and no journal
    sees; empty: none does."""
    cancel_on_barge_in: bool = False
    """Whether it is given up when the caller interrupts; only for what may be left half done."""

    def address(self, environ: Mapping[str, str] = os.environ) -> str:
        """Return the url with the environment's values in it; raise Misconfigured if one lacks."""
        return filled(self.url, f"tool {self.name!r}", environ)

    def request(
        self, arguments: Mapping[str, Any], environ: Mapping[str, str] = os.environ
    ) -> HttpRequest:
        """Return the request that carries these arguments."""
        left = dict(arguments)
        used: set[str] = set()

        def value(match: re.Match[str]) -> str:
            name = match["name"]
            if left.get(name) in (None, ""):
                raise InvalidInput(name, f"the url of tool {self.name!r} needs it")
            used.add(name)
            return quote(str(left[name]), safe="")

        url = _IN_PATH.sub(value, self.address(environ))
        left = {name: part for name, part in left.items() if name not in used}
        if self.method in ("GET", "DELETE"):
            return HttpRequest(self.method, url, {k: str(v) for k, v in left.items()}, None)
        return HttpRequest(self.method, url, {}, left)


class _Choice(_Part):
    name: Name
    """Name of the engine."""
    deadline_seconds: Seconds
    """How long it may take to its first result, seconds."""
    between_seconds: Seconds | None = None
    """How long each further result may take, seconds; default: ``deadline_seconds``."""

    @property
    def between(self) -> float:
        """Return how long each further result may take, seconds."""
        return self.deadline_seconds if self.between_seconds is None else self.between_seconds


class RecognitionChoice(_Choice):
    """A speech-to-text engine to use."""

    deadline_seconds: Seconds = 4.0
    """How long it may take to its first result after the end of speech, seconds."""


class LanguageChoice(_Choice):
    """A language engine to use."""

    deadline_seconds: Seconds = 3.0
    """How long it may take to its first words, seconds."""
    model: str = ""
    """Model, as the engine names it; empty: the engine's own."""


class SynthesisChoice(_Choice):
    """A text-to-speech engine to use."""

    deadline_seconds: Seconds = 2.0
    """How long it may take to its first audio, seconds."""
    voice: str = ""
    """Voice, as the engine names it; empty: the bot's ``voice``."""
    sound: str = Field(default="", max_length=64)
    """Label of entries that make the very same samples of the same words, such as one model behind
    two doors: of these the next goes on with a sentence at the very sample, others at a word.
    Default: only entries of the same name and voice do."""

    def sounds_like(self, other: SynthesisChoice) -> bool:
        """Whether both make the same samples of the same words."""
        same = (self.name, self.voice) == (other.name, other.voice)
        return same or bool(self.sound and self.sound == other.sound)


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


_NAMED = BeforeValidator(_named)


class Hedge(_Part):
    """How many of an engine's slowest first results the next entry is asked for, too.

    The next entry starts beside one that is slower than in 19 of 20 cases before, and whichever has
    a first result first goes on. Percent of what is asked for; 0: none.
    """

    stt: float = Field(default=0.0, ge=0, le=100)
    """Of utterances."""
    llm: float = Field(default=0.0, ge=0, le=100)
    """Of answers."""
    tts: float = Field(default=0.0, ge=0, le=100)
    """Of replies."""


class Engines(_Part):
    """Engines in order of preference: the next is used when one fails or misses its deadline.

    An entry is a name, or a mapping with the name and its deadline. An engine that fails twice in
    a row, or is silent past its deadline, is left out for a while where there is another one.
    """

    stt: tuple[Annotated[RecognitionChoice, _NAMED], ...] = Field(
        default=(RecognitionChoice(name="whisper"),), min_length=1, max_length=8
    )
    """Speech to text."""
    llm: tuple[Annotated[LanguageChoice, _NAMED], ...] = Field(
        default=(LanguageChoice(name="retrieval"),), min_length=1, max_length=8
    )
    """Language."""
    tts: tuple[Annotated[SynthesisChoice, _NAMED], ...] = Field(
        default=(SynthesisChoice(name="hibari"),), min_length=1, max_length=8
    )
    """Text to speech."""
    hedge: Hedge = Hedge()
    """Whether the next entry starts beside one that is slow."""


class BargeIn(_Part):
    """Whether the caller may interrupt."""

    enabled: bool = True
    """Whether the bot stops speaking when the caller speaks."""


class Keypad(_Part):
    """What is made of the keys that the caller presses: together they are one input, and a turn."""

    menu: dict[Keys, Words] = Field(default_factory=dict, max_length=50)
    """Inputs that stand for words, in quotes, as ``"1": I want to book a table.``; with
    ``most_digits: 1`` nobody waits for more keys."""
    interrupts: bool = True
    """Whether a key cuts the bot off; if not, the input is answered when the bot has ended."""
    terminator: Literal["#", "*", ""] = "#"
    """Key that ends an input; empty: none does."""
    pause_seconds: float = Field(default=2.5, ge=0.2, le=30)
    """How long after the last key an input has ended, seconds."""
    most_digits: int = Field(default=64, ge=1, le=64)
    """Keys after which an input has ended."""
    secret: bool = False
    """Whether inputs that are not in ``menu`` are secret: logs, journal, models and webhooks get
    ``****``; a tool with ``secret_digits`` gets the keys."""
    secret_meaning: str = Field(default="", max_length=300)
    """What the caller is taken to have said by a secret input; empty: ``****``."""


class Fallback(_Part):
    """What is done when the bot cannot go on."""

    line: str = Field(
        default="I'm very sorry, something is wrong on our side. Please call again soon.",
        max_length=300,
    )
    """What the caller hears."""
    transfer: str = Field(default="", max_length=128)
    """Number or address that gets the call then, in quotes; empty hangs up."""


class Redaction(_Part):
    """What the brain is not told of what people said; journal and tools are left alone."""

    before_model: tuple[Kind, ...] = ()
    """Kinds that are replaced by their names, as ``[card]``, before a brain of any kind."""
    countries: tuple[Country, ...] = USUAL
    """Countries whose phone numbers and national ids are known by their rules."""


class Silence(_Part):
    """What is done when the caller says nothing."""

    reprompt_after_seconds: float = Field(default=8.0, ge=1, le=120)
    """How long the caller may be silent after the bot has spoken, seconds."""
    reprompt: str = Field(default="Are you still there?", max_length=300)
    """What the bot says then; empty says nothing."""
    hang_up_after: int = Field(default=3, ge=1, le=20)
    """Reprompts in a row after which the bot hangs up."""


class Bot(_Part):
    """A bot."""

    name: Name
    """Name; the file's name without ``.yaml`` unless it says otherwise."""
    greeting: str = Field(default="", max_length=2000)
    """What it says first; empty lets the caller begin."""
    persona: str = Field(default="", max_length=20000)
    """Who it is and how it speaks: the instructions of a language model."""
    replies: bool = True
    """Whether it answers at all; ``false`` only listens and transcribes."""
    knowledge: Knowledge = Knowledge()
    """What it knows and can do."""
    tools: tuple[HttpTool, ...] = Field(default=(), max_length=62)
    """HTTP services that it can call."""
    mcp: tuple[McpServer, ...] = Field(default=(), max_length=8)
    """MCP servers whose tools it can call."""
    built_in: tuple[Literal["hang_up", "send_digits", "ask_digits"], ...] = ()
    """Built-in tools that a language model may call, besides those that intents use."""
    transfers: dict[str, Phrase] = Field(default_factory=dict, max_length=32)
    """Numbers or addresses that it may transfer to, in quotes, each with when."""
    remembers: dict[Variable, Phrase] = Field(default_factory=dict, max_length=32)
    """Variables that a language model may set, each with what it is."""
    hands_over: dict[Name, Phrase] = Field(default_factory=dict, max_length=32)
    """Bots that may take over, each with when."""
    brain: Brain = Brain()
    """Where its answers come from."""
    flow: Flow | None = None
    """States that its conversation goes through; missing: it has one task all along."""
    engines: Engines = Engines()
    """Engines in order of preference."""
    voice: str = Field(default="", max_length=64)
    """Voice, as the text-to-speech engine names it; empty: the engine's own."""
    language: str = Field(default="en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    """BCP-47 language that it speaks and understands."""
    patience: Literal["brisk", "normal", "patient"] = "normal"
    """How long it waits before it takes the caller to have finished."""
    barge_in: BargeIn = BargeIn()
    """Whether the caller may interrupt."""
    keypad: Keypad = Keypad()
    """What is made of the keys that the caller presses."""
    residency: tuple[Name, ...] = Field(default=(), max_length=32)
    """Zones that its calls may be served in; empty: any."""
    redaction: Redaction = Redaction()
    """What the brain is not told."""
    fallback: Fallback = Fallback()
    """What is done when it cannot go on."""
    silence: Silence = Silence()
    """What is done when the caller says nothing."""
    max_call_seconds: float = Field(default=3600.0, ge=1, le=86400)
    """How long a call may last, seconds."""
    holding_line: str = Field(default="One moment, please.", max_length=300)
    """What the caller hears when an answer is held up."""

    @cached_property
    def digest(self) -> str:
        """Return 16 hex digits that change when anything in the file does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        return hash(self.digest)

    def with_engines(self, name: str) -> Bot:
        """Return this bot with one engine, of this name, in each place, and that engine's voice."""
        engines = Engines(
            stt=(RecognitionChoice(name=name),),
            llm=(LanguageChoice(name=name),),
            tts=(SynthesisChoice(name=name),),
        )
        return self._changed(engines=engines, voice="")

    def _changed(self, **update: object) -> Bot:
        changed = self.model_copy(update=update)
        # A copy has what was computed of the original, too.
        changed.__dict__.pop("digest", None)
        return changed

    def in_state(self, name: str) -> Bot:
        """Return this bot as it is in a state of its flow: the one that its flow starts with."""
        if self.flow is None or name not in self.flow.states or name == self.flow.start:
            return self
        return self._changed(flow=self.flow.model_copy(update={"start": name}))

    @property
    def state(self) -> State:
        """The state that it is in; one that restricts nothing if it has no flow."""
        return self.flow.states[self.flow.start] if self.flow else State()

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The intents that it understands in its state."""
        allowed = self.state.intents
        return tuple(i for i in self.knowledge.intents if allowed is None or i.name in allowed)

    @property
    def colleagues(self) -> list[tuple[tuple[str | int, ...], str]]:
        """The bots that may take over, each with the place that names it."""
        named: list[tuple[tuple[str | int, ...], str]]
        named = [(("hands_over", name), name) for name in self.hands_over]
        for index, intent in enumerate(self.knowledge.intents):
            if intent.tool == HAND_OVER:
                named.append((("knowledge", "intents", index, "target"), intent.target))
        return named

    @property
    def minds(self) -> tuple[LanguageChoice, ...]:
        """What answers, in order of preference."""
        remote = self.brain.remote
        if remote is None:
            return self.engines.llm
        # Each bot's endpoint has a standing of its own.
        name = f"{self.brain.kind}-{self.name}"[:64]
        seconds = remote.deadline_seconds
        return (LanguageChoice(name=name, deadline_seconds=seconds),)

    def tool(self, name: str) -> HttpTool | McpTool | None:
        """Return the tool of this name, if there is one and the state has it."""
        allowed = self.state.tools
        if allowed is not None and name not in allowed:
            return None
        server, parted, theirs = name.partition(PARTING)
        for known in self.mcp if parted else ():
            if known.name == server and theirs in known.tools:
                return known.tool(theirs)
        return next((tool for tool in self.tools if tool.name == name), None)

    def knowledge_proto(self) -> language_pb2.Knowledge:
        """Return what every generation request carries; shared, so never change it."""
        return convert.knowledge(self)

    def tool_declarations(self) -> tuple[language_pb2.Tool, ...]:
        """Return the tools, built-in ones that are used included; shared, so never change them."""
        return convert.tool_declarations(self)
