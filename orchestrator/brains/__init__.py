"""Where answers come from. A brain is one module here and one line in the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from orchestrator.brains.grpc import RemoteBrain
from orchestrator.brains.llm import LanguageBrain
from orchestrator.brains.webhook import HttpBrain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    import grpc.aio

    from orchestrator.events import Served, TextArrived, ThoughtFinished, ToolRequested
    from orchestrator.mcp import McpServers
    from orchestrator.outside import Allowed
    from orchestrator.prompt import Prompt
    from voicemesh.bots import Bot, LanguageChoice

Piece: TypeAlias = "TextArrived | ToolRequested | ThoughtFinished | Served"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a brain may use."""

    channel: grpc.aio.Channel
    """To the mesh."""
    allowed: Allowed
    """Hosts of other people that may be asked although they are private."""
    mcp: McpServers
    """Tools that are not in bots' files."""


class Brain(Protocol):
    """Answers one turn at a time; one brain serves all conversations of a process."""

    def think(
        self, thought: int, prompt: Prompt, bot: Bot, choice: LanguageChoice
    ) -> AsyncGenerator[Piece, None]:
        """Give the answer piece by piece, ``ThoughtFinished`` last; cancel to stop.

        ``bot`` is the bot as it is in its state. What a brain wants done besides speaking is a
        tool: one of the bot's file, or a built-in one (`voicemesh.bots.built_in`). Raise
        ``grpc.aio.AioRpcError`` or ``errors.VoicemeshError`` when it cannot.
        """
        ...

    async def close(self) -> None:
        """Let connections go."""


BRAINS: Mapping[str, Callable[[Surroundings], Brain]] = {
    "llm": LanguageBrain,
    "webhook": HttpBrain,
    "grpc": RemoteBrain,
}
"""By the kind that a bot's file names (`voicemesh.bots.Brain.kind`)."""
