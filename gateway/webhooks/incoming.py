"""Asks the receiver what to do with a call that comes in: `call.incoming`."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Annotated, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.routing import Route
from gateway.webhooks.payload import payload
from voicemesh import telemetry
from voicemesh.callids import new_call_id
from voicemesh.errors import Denied, NotFound, Unavailable, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.routing import Routing
    from gateway.webhooks.sender import Sender

Text = Annotated[str, Field(max_length=256)]

_log = telemetry.get_logger("webhooks")


class Verdict(BaseModel):
    """What a receiver answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["accept", "reject"] = "accept"
    """Whether the call is taken."""
    bot: str = Field(default="", pattern=r"^([a-z0-9_-]{1,64})?$")
    """Bot that takes it; empty: the one that the numbers file has."""
    variables: dict[Text, Text] = Field(default_factory=dict, max_length=32)
    """Variables for it, besides those that there are."""


class IncomingRouting:
    """Asks about every call that another routing routes, or does not know."""

    def __init__(self, sender: Sender, others: Routing, seconds: float, tag: str) -> None:
        """``seconds``: how long the receiver may take; then the call goes where it would anyway."""
        self._sender = sender
        self._others = others
        self._seconds = seconds
        self._tag = tag

    async def route(
        self, callee: str, application: str, parameters: Mapping[str, str], caller: str = ""
    ) -> Route:
        known, problem = await self._known(callee, application, parameters, caller)
        call_id = new_call_id(self._tag)
        asked = {
            "caller": caller,
            "callee": callee,
            "application": application,
            "bot": known.bot if known else "",
            "variables": dict(known.variables if known else parameters),
        }
        verdict = await self._ask(call_id, asked)
        if verdict is None and known is None:
            raise problem
        if verdict is not None and verdict.action == "reject":
            raise Denied("this call was rejected", reason="REJECTED")
        bot = (verdict.bot if verdict else "") or (known.bot if known else "")
        if not bot:
            raise problem
        given = known.variables if known else parameters
        variables = {**given, **(verdict.variables if verdict else {})}
        return Route(bot, variables, known.number if known else "", call_id)

    async def _known(
        self, callee: str, application: str, parameters: Mapping[str, str], caller: str
    ) -> tuple[Route | None, VoicemeshError]:
        try:
            route = await self._others.route(callee, application, parameters, caller)
        except NotFound as error:
            return None, error
        return route, NotFound("no bot takes this call", reason="NO_NUMBER")

    async def _ask(self, call_id: str, data: Mapping[str, object]) -> Verdict | None:
        """Return the receiver's verdict; None if it gives none in time."""
        at = Timestamp(seconds=int(time.time()))
        body = payload("call.incoming", at.ToJsonString(), call_id, data)
        try:
            answer = await self._sender.send(f"{uuid.uuid4()}", body, self._seconds)
            return Verdict.model_validate_json(answer or b"{}")
        except Unavailable as error:
            _log.warning("nobody said what to do with a call", problem=error.message)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            _log.warning("call.incoming was answered with nonsense", field=field, said=first["msg"])
        return None
