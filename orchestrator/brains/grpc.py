"""The brain behind somebody's ``voicemesh.api.bot.v1.BotService``: each turn is one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio
from google.protobuf.json_format import MessageToDict, ParseDict

from orchestrator.brains.actions import Answer
from orchestrator.brains.asking import BOT, CALLER, lines, question
from voicemesh.api.bot.v1 import bot_pb2, bot_pb2_grpc
from voicemesh.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from orchestrator.brains import Piece, Surroundings
    from orchestrator.prompt import Prompt
    from voicemesh.bots import Bot, GrpcBrain, LanguageChoice

MAX_MESSAGE_BYTES = 256 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A brain that was restarted is found again at once, not after half a minute.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_SPEAKERS = {CALLER: bot_pb2.SPEAKER_CALLER, BOT: bot_pb2.SPEAKER_BOT}


class RemoteBrain:
    """Asks services; one channel for each."""

    def __init__(self, _: Surroundings) -> None:
        self._channels: dict[tuple[str, bool], grpc.aio.Channel] = {}

    async def think(
        self, thought: int, prompt: Prompt, bot: Bot, _: LanguageChoice
    ) -> AsyncGenerator[Piece, None]:
        """Give the answer action by action."""
        brain = bot.brain.grpc
        if brain is None:
            raise NotFound(f"bot {bot.name!r} has no gRPC brain", reason="NO_BRAIN")
        stub: bot_pb2_grpc.BotServiceStub = bot_pb2_grpc.BotServiceStub(self._channel(brain))
        secret = brain.secret_value()
        call = stub.Answer(
            request(prompt, bot),
            metadata=(("authorization", f"Bearer {secret}"),) if secret else (),
            timeout=brain.most_seconds,
        )
        answer = Answer(thought)
        try:
            async for response in call:
                for piece in answer.take(action(response)):
                    yield piece
            for piece in answer.finish():
                yield piece
        finally:
            call.cancel()

    async def close(self) -> None:
        """Let connections go."""
        for channel in self._channels.values():
            await channel.close()

    def _channel(self, brain: GrpcBrain) -> grpc.aio.Channel:
        key = (brain.address(), brain.tls)
        if key not in self._channels:
            target, tls = key
            self._channels[key] = (
                grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
                if tls
                else grpc.aio.insecure_channel(target, _OPTIONS)
            )
        return self._channels[key]


def request(prompt: Prompt, bot: Bot) -> bot_pb2.AnswerRequest:
    """Return the question as the contract has it."""
    asked = {k: v for k, v in question(prompt, bot).items() if k not in ("transcript", "variables")}
    message = bot_pb2.AnswerRequest(**asked)
    for line in lines(prompt):
        message.transcript.add(
            speaker=_SPEAKERS.get(line.speaker, bot_pb2.SPEAKER_TOOL),
            text=line.text,
            tool=line.tool,
            arguments_json=line.arguments_json,
        )
    ParseDict(dict(prompt.variables), message.variables)
    return message


def action(response: bot_pb2.AnswerResponse) -> dict[str, Any]:
    """Return an action as `Answer` takes it. Raise InvalidInput for none."""
    kind = response.WhichOneof("action")
    if kind is None:
        raise InvalidInput("action", "is empty: set exactly one field")
    return {kind: _READ.get(kind, lambda value: value)(getattr(response, kind))}


def _ask_digits(asked: bot_pb2.AskDigits) -> dict[str, Any]:
    wanted: dict[str, Any] = {"secret": True} if asked.secret else {}
    if asked.most_digits:
        wanted["most_digits"] = asked.most_digits
    if asked.terminator:
        wanted["terminator"] = asked.terminator
    if asked.HasField("pause"):
        wanted["pause_seconds"] = asked.pause.ToTimedelta().total_seconds()
    return wanted


_READ: dict[str, Any] = {
    "listen": lambda _: True,
    "ask_digits": _ask_digits,
    "call_tool": lambda call: {"name": call.name, "arguments": MessageToDict(call.arguments)},
    "transfer": lambda transfer: transfer.target,
    "hang_up": lambda _: True,
    "send_digits": lambda send: send.digits,
    "set": MessageToDict,
    "go_to": lambda go_to: go_to.state,
    "hand_over": lambda over: {"bot": over.bot, "variables": MessageToDict(over.variables)},
}
