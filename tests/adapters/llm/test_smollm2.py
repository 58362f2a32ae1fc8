from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest
from pydantic import SecretStr

from adapters.language import FinishReason, Message, Role, TextPiece
from adapters.llm.openai import OpenAiEngine, OpenAiSettings
from adapters.llm.smollm2 import SmolLm2Engine, weights
from tests.adapters.llm.support import asking, settle, whole
from voicemesh.errors import NotFound, Refused

pytestmark = [pytest.mark.models, pytest.mark.slow]

SYSTEM = Message(Role.SYSTEM, "You are the front desk of a hotel. Answer in one short sentence.")


async def test_it_speaks_stops_and_keeps_its_bounds() -> None:
    engine = SmolLm2Engine(waiting=1)
    await engine.start()
    request = replace(asking("x"), messages=(SYSTEM, *asking("What is a hotel?").messages))

    reply = await whole(engine, request)
    assert len(reply.pieces) > 3
    assert reply.text == (await whole(engine, request)).text
    assert (await whole(engine, replace(request, max_tokens=2))).reason is FinishReason.LENGTH
    with pytest.raises(NotFound):
        await whole(engine, replace(request, model="big"))

    pieces = engine.generate(request)
    assert isinstance(await anext(pieces), TextPiece)
    waiting = asyncio.create_task(whole(engine, request))
    await settle()
    with pytest.raises(Refused):
        await whole(engine, request)
    await pieces.aclose()  # type: ignore[attr-defined]
    assert (await waiting).text == reply.text
    await engine.stop()


async def test_openai_speaks_with_a_real_server() -> None:
    import xllamacpp

    key = secrets.token_urlsafe()
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx, params.n_parallel, params.verbosity, params.api_keys = 512, 1, 0, [key]
    server = xllamacpp.Server(params)
    engine = OpenAiEngine(OpenAiSettings(url=f"{server.listening_address}/v1", key=SecretStr(key)))
    await engine.start()
    reply = await whole(engine, replace(asking("Say hello."), max_tokens=8))
    assert len(reply.pieces) > 1
    assert reply.text.strip()
    await engine.stop()
    del server
