"""Where answers come from. A brain is one module here and one line in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from orchestrator.brains.llm import LanguageBrain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import grpc.aio

    from orchestrator.events import TextArrived, ThoughtFinished, ToolRequested
    from orchestrator.prompt import Prompt
    from voicemesh.bots import Bot, LanguageChoice

Piece: TypeAlias = "TextArrived | ToolRequested | ThoughtFinished"


class Brain(Protocol):
    """Answers one turn at a time; one brain serves all conversations of a process."""

    def think(
        self, thought: int, prompt: Prompt, bot: Bot, choice: LanguageChoice
    ) -> AsyncGenerator[Piece, None]:
        """Give the answer piece by piece, ``ThoughtFinished`` last; cancel to stop.

        Raise ``grpc.aio.AioRpcError`` or ``errors.VoicemeshError`` when it cannot.
        """
        ...


BRAINS: dict[str, Callable[[grpc.aio.Channel], Brain]] = {"llm": LanguageBrain}
