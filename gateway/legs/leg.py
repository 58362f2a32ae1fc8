"""What a leg is to the rest of the gateway, and what a door that lets callers in is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import grpc.aio

    from gateway.commands import LegCommand
    from gateway.events import LegEvent
    from voicemesh.errors import VoicemeshError


class Leg(Protocol):
    """One caller's connection, whatever its protocol. Nothing here waits."""

    @property
    def ahead(self) -> float:
        """Return by how many seconds more (or less) than usual audio is wanted in advance."""

    def take(self) -> Iterable[LegEvent]:
        """Return what the caller did since the last time; raise InvalidInput where it may not."""

    def give(self, command: LegCommand) -> None:
        """Pass something on to the caller; `End` or `Fail` is the last."""

    def stuck(self, now: float) -> VoicemeshError | None:
        """Return why the leg is of no use any more, if it is not."""


class Door(Protocol):
    """Lets callers of one protocol in."""

    @property
    def names(self) -> Sequence[str]:
        """Return full names of the gRPC services that it serves; none if it listens by itself."""

    def register(self, server: grpc.aio.Server) -> None:
        """Add its servicers."""

    async def start(self) -> None:
        """Begin to listen, if it listens by itself."""

    async def stop(self) -> None:
        """Let nobody in any more."""
