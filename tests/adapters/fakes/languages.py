"""Streams as OpenAI's Responses, Anthropic's Messages and Gemini's models give them.

A reply is words and, behind them, calls of tools: (id, name, arguments in pieces).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.adapters.fakes.http import event

if TYPE_CHECKING:
    from collections.abc import Sequence


def responses(
    words: Sequence[str], calls: Sequence[tuple[str, str, Sequence[str]]] = (), *, cut: bool = False
) -> list[bytes]:
    """Return the events of OpenAI's Responses."""
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress")},
        {"type": "response.new_kind", "that": "nobody knows"},
    ]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "in_progress"}
    told.append(
        {"type": "response.output_item.added", "output_index": 0, "item": message | {"content": []}}
    )
    for word in words:
        place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
        told.append({"type": "response.output_text.delta", "delta": word, **place})
    content = {"type": "output_text", "text": "".join(words), "annotations": [], "logprobs": []}
    told.append(
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": message | {"status": "completed", "content": [content]},
        }
    )
    for index, (identity, name, parts) in enumerate(calls, 1):
        call = {"type": "function_call", "id": f"f{index}", "call_id": identity, "name": name}
        told.append(
            {
                "type": "response.output_item.added",
                "output_index": index,
                "item": call | {"arguments": ""},
            }
        )
        for part in parts:
            delta = {"type": "response.function_call_arguments.delta", "delta": part}
            told.append(delta | {"item_id": f"f{index}", "output_index": index})
        whole = call | {"arguments": "".join(parts), "status": "completed"}
        told.append({"type": "response.output_item.done", "output_index": index, "item": whole})
    end = "incomplete" if cut else "completed"
    told.append({"type": f"response.{end}", "response": _response(end)})
    return [
        event(one | {"sequence_number": number}, one["type"]) for number, one in enumerate(told)
    ]


def _response(status: str) -> dict[str, Any]:
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "m",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
    }


def anthropic(
    words: Sequence[str], calls: Sequence[tuple[str, str, Sequence[str]]] = (), *, cut: bool = False
) -> list[bytes]:
    """Return the events of Anthropic's Messages."""
    message: dict[str, Any] = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    told: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in words])
    ]
    for identity, name, parts in calls:
        block = {"type": "tool_use", "id": identity, "name": name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *parts)]
        blocks.append((block, deltas))
    for index, (block, deltas) in enumerate(blocks):
        told.append({"type": "content_block_start", "index": index, "content_block": block})
        told += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        told.append({"type": "content_block_stop", "index": index})
    reason = "max_tokens" if cut else "tool_use" if calls else "end_turn"
    delta = {"stop_reason": reason, "stop_sequence": None}
    told.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}})
    told.append({"type": "message_stop"})
    return [event(one, one["type"]) for one in told]


def gemini(
    words: Sequence[str], calls: Sequence[tuple[str, str, Sequence[str]]] = (), *, cut: bool = False
) -> list[bytes]:
    """Return the events of Gemini's streamGenerateContent; its calls come whole."""
    parts: list[dict[str, Any]] = [{"text": "Let me see.", "thought": True}]
    parts += [{"text": word} for word in words]
    for identity, name, arguments in calls:
        call = {"name": name, "args": json.loads("".join(arguments) or "{}")}
        parts.append({"functionCall": call | ({"id": identity} if identity else {})})
    told: list[dict[str, Any]] = [{"candidates": [_candidate([part])]} for part in parts]
    last = _candidate([{"text": ""}]) | {"finishReason": "MAX_TOKENS" if cut else "STOP"}
    told.append({"candidates": [last], "usageMetadata": {"totalTokenCount": 9}, "new_field": 1})
    return [event(one) for one in told]


def _candidate(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": {"role": "model", "parts": parts}, "index": 0}
