"""Idempotency keys: what is asked for twice is done once, and answered alike."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar, cast

from google.protobuf.message import Message

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Answer = TypeVar("Answer", bound=Message)

MAX_KEYS = 4096
"""Keys that are remembered; the newest."""
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Keys:
    """The newest answers by key. What failed had no effect and is not remembered."""

    def __init__(self, limit: int = MAX_KEYS) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, ...], tuple[bytes, asyncio.Future[Message]]] = (
            OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._known)

    def knows(self, scope: tuple[str, ...], key: str) -> bool:
        """Whether a key of a scope is remembered."""
        return (*scope, key) in self._known

    async def once(
        self,
        scope: tuple[str, ...],
        key: str,
        request: Message,
        act: Callable[[], Coroutine[None, None, Answer]],
    ) -> Answer:
        """Act, or return what acting on the same key in the same scope returned.

        Raise InvalidInput for a key that is none, or that another request had.
        """
        if not _KEY.fullmatch(key):
            raise InvalidInput(
                "idempotency_key", "must be 1 to 64 characters of A-Z, a-z, 0-9 and ._:-", limit=64
            )
        place = (*scope, key)
        said = request.SerializeToString(deterministic=True)
        known = self._known.get(place)
        if known is None:
            task: asyncio.Future[Message] = asyncio.ensure_future(act())
            known = self._known[place] = (said, task)
            task.add_done_callback(lambda done: self._settle(place, done))
        if known[0] != said:
            raise InvalidInput(
                "idempotency_key", "was used for another request", reason="KEY_REUSED"
            )
        # Who asked first may be gone before the answer; what was begun is done all the same.
        return cast("Answer", await asyncio.shield(known[1]))

    def _settle(self, place: tuple[str, ...], done: asyncio.Future[Message]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._known.pop(place, None)
        while len(self._known) > self._limit:
            oldest = next(iter(self._known))
            if not self._known[oldest][1].done():
                break
            del self._known[oldest]
