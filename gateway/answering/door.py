"""The door for carriers' webhooks: HTTP on a port of its own; `desk` decides what is answered."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from gateway import metrics
from gateway.answering.addresses import PREFIX
from gateway.legs.websocket import HEALTH, split_address
from voicemesh import telemetry
from voicemesh.carriers.answers.table import ANSWERS
from voicemesh.carriers.auth.request import Request
from voicemesh.errors import (
    Denied,
    InvalidInput,
    Misconfigured,
    NotFound,
    OutOfOrder,
    VoicemeshError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import grpc.aio

    from gateway.service import Gateway

MAX_BODY_BYTES = 64 * 1024
ANSWER_SECONDS = 14.0
"""How long an answer may take in all; carriers wait 15 s at most."""
STOP_SECONDS = 2.0
_STATUS: Mapping[type[VoicemeshError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Denied: HTTPStatus.FORBIDDEN,
    OutOfOrder: HTTPStatus.CONFLICT,
    InvalidInput: HTTPStatus.BAD_REQUEST,
}

_log = telemetry.get_logger("answers")


class AnswerDoor:
    """Answers carriers' webhooks."""

    names: Sequence[str] = ()

    def __init__(self, gateway: Gateway) -> None:
        self._settings = gateway.settings
        self._desk = gateway.desk
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """Return the port that it listens on; 0 before `start` and without an address."""
        return int(self._runner.addresses[0][1]) if self._runner else 0

    def register(self, server: grpc.aio.Server) -> None:
        """Do nothing: it listens by itself."""

    async def start(self) -> None:
        address = self._settings.answers
        if not address:
            return
        host, port = split_address("VOICEMESH_ANSWERS", address)
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_get(HEALTH, self._healthy)
        for path, act in _ACTS.items():
            for method in ("GET", "POST"):
                application.router.add_route(method, f"{PREFIX}{{carrier}}/{path}", self._by(act))
        runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(
                runner,
                host,
                port,
                shutdown_timeout=STOP_SECONDS,
                ssl_context=self._settings.server_context,
            )
            await site.start()
        except OSError as error:
            raise Misconfigured(
                f"VOICEMESH_ANSWERS: cannot listen on {address}; is the port taken?",
                address=address,
            ) from error
        self._runner = runner

    async def stop(self) -> None:
        """Answer what was asked, and take no more."""
        if self._runner:
            await self._runner.cleanup()

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="serving\n")

    def _by(self, act: _Act) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await act(self, request, await _plain(request))
            except VoicemeshError as error:
                return _refused(request, error)
            except TimeoutError:
                return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="TIMEOUT\n")

        return handle

    async def _answer(self, asked: web.Request, request: Request) -> web.Response:
        document = await self._desk.answer(asked.match_info["carrier"], request)
        return web.Response(body=document.body, headers={"Content-Type": document.content_type})

    async def _status(self, asked: web.Request, request: Request) -> web.Response:
        call_id = asked.match_info.get("call_id", "")
        self._desk.status(asked.match_info["carrier"], call_id, request)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _onward(self, asked: web.Request, request: Request) -> web.Response:
        document = self._desk.onward(asked.match_info["carrier"], request)
        return web.Response(body=document.body, headers={"Content-Type": document.content_type})


if TYPE_CHECKING:
    _Act = Callable[[AnswerDoor, web.Request, Request], Awaitable[web.Response]]

_ACTS: Mapping[str, _Act] = {
    "answer": AnswerDoor._answer,
    "status": AnswerDoor._status,
    "status/{call_id}": AnswerDoor._status,
    "onward": AnswerDoor._onward,
}


async def _plain(request: web.Request) -> Request:
    """Return the request as signatures cover it: path and body as they came."""
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise InvalidInput(
            "body", f"has more than {MAX_BODY_BYTES} bytes", limit=MAX_BODY_BYTES
        ) from None
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, request.raw_path, headers, body)


def _refused(request: web.Request, error: VoicemeshError) -> web.Response:
    carrier = request.match_info["carrier"]
    known = carrier if carrier in ANSWERS else "unknown"
    metrics.CARRIER_WEBHOOKS_REFUSED.labels(known, error.reason).inc()
    _log.info("webhook refused", carrier=known, reason=error.reason)
    found = (status for kind, status in _STATUS.items() if type(error) is kind)
    status = next(found, HTTPStatus.SERVICE_UNAVAILABLE)
    return web.Response(status=status, text=f"{error.reason}: {error.message}\n")
