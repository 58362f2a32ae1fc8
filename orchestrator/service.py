"""The orchestrator as a process serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.brains import BRAINS, Surroundings
from orchestrator.mcp import McpServers
from orchestrator.outside import Allowed
from orchestrator.senses import Way
from orchestrator.servicer import SessionServicer
from orchestrator.tools import Tools
from voicemesh.api.session.v1 import session_pb2_grpc
from voicemesh.bots import Bots
from voicemesh.channel import Pulse, open_channel
from voicemesh.server import LiveStreams

if TYPE_CHECKING:
    import grpc.aio

    from orchestrator.config import OrchestratorSettings

NAME = "voicemesh.api.session.v1.SessionService"


class Orchestrator:
    """Conducts calls with the bots of a folder."""

    names = (NAME,)
    resumable = True

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._settings = settings
        self.live = LiveStreams(settings.limits)
        pulse = Pulse(self.live.turned_away)
        self._channel = open_channel(settings.mesh, trust=settings.trust, pulse=pulse)
        bots = Bots.load(settings.bots)
        allowed = Allowed(settings.allowed_hosts)
        self._mcp = McpServers(bots, allowed)
        self._tools = Tools(settings.tool_connections, self._mcp)
        surroundings = Surroundings(self._channel, allowed, self._mcp)
        self._brains = {kind: brain(surroundings) for kind, brain in BRAINS.items()}
        self._servicer = SessionServicer(
            settings, bots, self.live, Way(self._channel, pulse), self._brains, self._tools
        )

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        session_pb2_grpc.add_SessionServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Load what tools need: bots are read, engines live elsewhere."""
        await self._tools.start()
        await self._mcp.start()

    async def drain(self) -> None:
        """Have every call opened elsewhere."""
        await self.hand_over()

    async def hand_over(self) -> None:
        """Have every call opened anew, each at its next pause; by another Envoy, or elsewhere."""
        await self._servicer.epochs.ask_all_to_leave(self._settings.drain_seconds)

    async def stop(self) -> None:
        """Let connections go."""
        await self._tools.close()
        await self._mcp.stop()
        for brain in self._brains.values():
            await brain.close()
        await self._channel.close()
