"""The engines of this process, and who may use them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from voicemesh.errors import NotFound, Unavailable
from voicemesh.server import LiveStreams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Engine(Protocol):
    """What engines of every sense have in common."""

    async def start(self) -> None:
        """Load models and warm up."""

    async def stop(self) -> None:
        """Free everything."""


E_co = TypeVar("E_co", bound=Engine, covariant=True)


class Host(Generic[E_co]):
    """Starts the engines, hands them out by name, and counts the streams that use them."""

    def __init__(self, engines: Mapping[str, E_co], *, replica: str, max_streams: int) -> None:
        self.replica = replica
        self.live = LiveStreams(max_streams)
        self._engines = engines
        self._ready = False

    async def start(self) -> None:
        """Start every engine; until then all streams are refused."""
        for engine in self._engines.values():
            await engine.start()
        self._ready = True

    async def stop(self) -> None:
        """Stop every engine."""
        self._ready = False
        for engine in self._engines.values():
            await engine.stop()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for one stream; raise Unavailable or Refused if there is none."""
        if not self._ready:
            raise Unavailable("this replica is starting", reason="STARTING")
        with self.live.admit():
            yield

    def engine(self, name: str, field: str) -> E_co:
        """Return the engine of that name; raise NotFound if it is not hosted here."""
        try:
            return self._engines[name]
        except KeyError:
            hosted = ", ".join(self._engines)
            raise NotFound(
                f"{field}: no engine {name!r} here, only {hosted}",
                reason="ENGINE_NOT_FOUND",
                field=field,
                engine=name,
                hosted=hosted,
            ) from None
