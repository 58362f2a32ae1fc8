"""From protos to what engines are given; raises InvalidInput with the field and its limit."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from adapters.language import (
    Fact,
    GenerationRequest,
    Intent,
    Knowledge,
    Message,
    Role,
    Slot,
    Tool,
    ToolCall,
)
from adapters.recognition import RecognitionRequest
from adapters.synthesis import SynthesisRequest
from voicemesh.api.audio.v1 import audio_pb2
from voicemesh.api.language.v1 import language_pb2
from voicemesh.audio import MESH_RATES, AudioFormat, Chunk, Encoding
from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicemesh.api.speech.v1 import recognition_pb2, synthesis_pb2

MAX_PHRASES, MAX_PHRASE_CHARACTERS = 100, 64
MAX_MESSAGES, MAX_REQUEST_BYTES = 500, 1 << 20
MAX_TOOLS = 64
DEFAULT_TOKENS, MAX_TOKENS = 256, 4096
MAX_TEMPERATURE = 2.0
SLOT_KINDS = ("date", "time", "number", "digits", "name", "choice", "text")

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = {
    language_pb2.ROLE_SYSTEM: Role.SYSTEM,
    language_pb2.ROLE_CALLER: Role.CALLER,
    language_pb2.ROLE_BOT: Role.BOT,
    language_pb2.ROLE_TOOL: Role.TOOL,
}


def audio_rate(message: audio_pb2.AudioFormat, field: str) -> int:
    """Return the rate of a format that is allowed inside the mesh."""
    if message.encoding != audio_pb2.ENCODING_LINEAR16:
        raise InvalidInput(f"{field}.encoding", "must be LINEAR16", allowed="LINEAR16")
    rate = message.sample_rate_hertz
    if rate not in MESH_RATES:
        allowed = ", ".join(map(str, MESH_RATES))
        raise InvalidInput(
            f"{field}.sample_rate_hertz", f"is {rate}, not one of {allowed}", allowed=allowed
        )
    return rate


def audio_chunk(message: audio_pb2.AudioChunk, rate: int) -> Chunk:
    """Return a chunk of LINEAR16 audio at this rate."""
    _linear(rate).check_chunk(message.data)
    return Chunk(message.offset, np.frombuffer(message.data, "<i2").astype(np.int16, copy=False))


@cache
def _linear(rate: int) -> AudioFormat:
    return AudioFormat(Encoding.LINEAR16, rate)


def recognition_request(config: recognition_pb2.RecognitionConfig) -> RecognitionRequest:
    """Return what is to be recognised."""
    _at_most("config.phrases", len(config.phrases), MAX_PHRASES, "phrases")
    for phrase in config.phrases:
        _at_most("config.phrases", len(phrase), MAX_PHRASE_CHARACTERS, "characters in a phrase")
    return RecognitionRequest(
        rate=audio_rate(config.format, "config.format"),
        language=config.language or "en",
        phrases=tuple(config.phrases),
        partials=config.partial_transcripts,
        call_id=config.call_id,
    )


def synthesis_request(config: synthesis_pb2.SynthesisConfig) -> SynthesisRequest:
    """Return how to speak."""
    return SynthesisRequest(
        rate=audio_rate(config.format, "config.format"),
        voice=config.voice,
        language=config.language or "en",
        call_id=config.call_id,
    )


def generation_request(request: language_pb2.GenerateRequest) -> GenerationRequest:
    """Return what is to be answered."""
    _at_most("request", request.ByteSize(), MAX_REQUEST_BYTES, "bytes")
    if not request.messages:
        raise InvalidInput("messages", "must hold 1 to 500", limit=MAX_MESSAGES)
    _at_most("messages", len(request.messages), MAX_MESSAGES, "messages")
    _at_most("tools", len(request.tools), MAX_TOOLS, "tools")
    return GenerationRequest(
        messages=tuple(map(_message, request.messages)),
        model=request.model,
        tools=tuple(map(_tool, request.tools)),
        knowledge=_knowledge(request.knowledge),
        max_tokens=_max_tokens(request.max_tokens),
        temperature=_temperature(request),
        call_id=request.call_id,
    )


def _at_most(field: str, count: int, limit: int, what: str) -> None:
    if count > limit:
        raise InvalidInput(field, f"{count} {what}; at most {limit} are allowed", limit=limit)


def _max_tokens(value: int) -> int:
    if not 0 <= value <= MAX_TOKENS:
        raise InvalidInput("max_tokens", f"is {value}, must be 1 to {MAX_TOKENS}", limit=MAX_TOKENS)
    return value or DEFAULT_TOKENS


def _temperature(request: language_pb2.GenerateRequest) -> float | None:
    if not request.HasField("temperature"):
        return None
    if not 0 <= request.temperature <= MAX_TEMPERATURE:
        raise InvalidInput(
            "temperature", f"is {request.temperature}, must be 0 to 2", limit=MAX_TEMPERATURE
        )
    return request.temperature


def _message(message: language_pb2.Message) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        raise InvalidInput("messages.role", "must be set", allowed=", ".join(Role.__members__))
    return Message(
        role=role,
        text=message.text,
        tool_calls=tuple(map(_tool_call, message.tool_calls)),
        tool_call_id=message.tool_call_id,
    )


def _tool_call(call: language_pb2.ToolCall) -> ToolCall:
    _check_object("messages.tool_calls.arguments_json", call.arguments_json)
    return ToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json)


def _tool(tool: language_pb2.Tool) -> Tool:
    if not _TOOL_NAME.fullmatch(tool.name):
        raise InvalidInput(
            "tools.name", f"{tool.name!r} must be 1 to 64 of a-z, A-Z, 0-9, _ and -", limit=64
        )
    _check_object("tools.parameters_json", tool.parameters_json)
    return Tool(tool.name, tool.description, tool.parameters_json)


def _check_object(field: str, text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(field, f"is no JSON ({error})", reason="NOT_JSON") from error
    if not isinstance(value, dict):
        raise InvalidInput(field, "is no JSON object", reason="NOT_JSON")


def _knowledge(knowledge: language_pb2.Knowledge) -> Knowledge:
    return Knowledge(
        facts=tuple(map(_fact, knowledge.facts)),
        intents=tuple(map(_intent, knowledge.intents)),
        unknown_reply=knowledge.unknown_reply,
    )


def _fact(fact: language_pb2.Fact) -> Fact:
    return Fact(_some("knowledge.facts.questions", fact.questions), fact.answer)


def _intent(intent: language_pb2.Intent) -> Intent:
    return Intent(
        name=intent.name,
        examples=_some("knowledge.intents.examples", intent.examples),
        slots=tuple(map(_slot, intent.slots)),
        tool=intent.tool,
        reply=intent.reply,
        failure_reply=intent.failure_reply,
    )


def _slot(slot: language_pb2.Slot) -> Slot:
    if slot.kind not in SLOT_KINDS:
        allowed = ", ".join(SLOT_KINDS)
        raise InvalidInput(
            "knowledge.intents.slots.kind",
            f"{slot.kind!r} is not one of {allowed}",
            allowed=allowed,
        )
    return Slot(slot.name, slot.kind, slot.question, tuple(slot.choices))


def _some(field: str, values: Iterable[str]) -> tuple[str, ...]:
    some = tuple(values)
    if not some:
        raise InvalidInput(field, "must hold at least one")
    return some
