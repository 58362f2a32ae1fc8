"""Whatever a provider sends: a codec takes it, or says that it is the provider's fault."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from adapters.llm.anthropic import AnthropicAssembly
from adapters.llm.gemini import GeminiAssembly
from adapters.llm.openai_responses import ResponsesAssembly
from adapters.stt.assemblyai import AssemblyAiCodec
from adapters.stt.deepgram import DeepgramCodec
from adapters.tts.cartesia import CartesiaCodec
from adapters.tts.elevenlabs import ElevenLabsCodec
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = (
    *("Results", "Metadata", "Error", "Turn", "Termination", "chunk", "done", "error"),
    *("response.output_text.delta", "response.output_item.done", "response.completed"),
    *("response.failed", "content_block_start", "content_block_delta", "content_block_stop"),
    *("message_delta", "message_stop", "function_call", "tool_use", "text_delta"),
    "input_json_delta",
)
NAMES = (
    *("channel", "alternatives", "transcript", "is_final", "from_finalize", "description"),
    *("turn_order", "end_of_turn", "error", "error_code", "message", "audio", "isFinal", "data"),
    *("context_id", "status_code", "delta", "item", "call_id", "name", "arguments", "response"),
    *("index", "content_block", "text", "partial_json", "stop_reason", "id", "candidates"),
    *("content", "parts", "functionCall", "args", "finishReason", "promptFeedback", "code"),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 600)
    | st.sampled_from(["", "c", "{", "{}", "AAA=", "zzz", *KINDS]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from((*NAMES, "type")), inner, max_size=4)
    ),
    max_leaves=8,
)
messages = st.builds(
    lambda kind, rest: rest | ({"type": kind} if kind else {}),
    st.sampled_from((None, *KINDS)),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
)
CODECS: dict[str, Callable[[], Any]] = {
    "deepgram": DeepgramCodec,
    "assemblyai": lambda: AssemblyAiCodec(16000),
    "elevenlabs": lambda: ElevenLabsCodec("hello"),
    "cartesia": lambda: CartesiaCodec({"context_id": "c"}),
}
ASSEMBLIES: dict[str, Callable[[], Any]] = {
    "responses": ResponsesAssembly,
    "anthropic": AnthropicAssembly,
    "gemini": GeminiAssembly,
}


@pytest.mark.parametrize("name", CODECS)
@given(told=st.lists(messages, max_size=4))
def test_codecs_raise_only_our_errors(name: str, told: list[dict[str, Any]]) -> None:
    codec = CODECS[name]()
    with suppress(VoicemeshError):
        for message in told:
            codec.take(json.dumps(message))
            assert isinstance(getattr(codec, "text", ""), str)


@pytest.mark.parametrize("name", ASSEMBLIES)
@given(told=st.lists(messages, max_size=4))
def test_assemblies_raise_only_our_errors(name: str, told: list[dict[str, Any]]) -> None:
    assembly = ASSEMBLIES[name]()
    with suppress(VoicemeshError):
        for message in told:
            list(assembly.take(message))
        list(assembly.finish())
