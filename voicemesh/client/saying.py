"""What a caller was given to say, and who waits until it was said: for every kind of caller."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from voicemesh.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Generator

    from voicemesh.audio import Samples
    from voicemesh.client.mouth import Mouth, Utterance

DIGITS = frozenset("0123456789*#ABCD")


class Said:
    """Speech that was queued; await it to wait until it was said, or the call was over."""

    def __init__(self, utterance: Utterance, done: asyncio.Future[None]) -> None:
        self.utterance = utterance
        self._done = done

    def __await__(self) -> Generator[Any, None, Utterance]:
        yield from asyncio.shield(self._done).__await__()
        return self.utterance


class Saying:
    """Queues speech at a mouth; tells those who wait how far it has come."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._over = False

    def say(self, samples: Samples) -> Said:
        """Queue speech at the mouth's rate."""
        utterance = self._mouth.say(samples)
        done = asyncio.get_running_loop().create_future()
        if self._over:
            done.set_result(None)
        else:
            self._waiting.append((utterance.end, done))
        return Said(utterance, done)

    def moved(self) -> None:
        """Tell those whose words have left the mouth."""
        self._tell(self._mouth.next_offset)

    def over(self) -> None:
        """Tell all of them: nothing more will be said."""
        self._over = True
        self._tell(None)

    def _tell(self, until: int | None) -> None:
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            done = self._waiting.popleft()[1]
            if not done.done():
                done.set_result(None)


def check_digits(digits: str) -> None:
    """Raise InvalidInput where one of them is on no phone."""
    for digit in digits:
        if digit not in DIGITS:
            raise InvalidInput("digits", f"{digit!r} is not one of 0-9, *, #, A-D")
