"""Any server with OpenAI's ``/audio/transcriptions``: OpenAI, and many that are self-hosted.

Request: https://platform.openai.com/docs/api-reference/audio/createTranscription
There is nothing to send before the utterance is over; where the server streams its answer, the
words of it that have come are given as changing transcripts.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic_settings import SettingsConfigDict

from adapters.llm.chunks import events
from adapters.providers import faults
from adapters.providers.endpoint import Endpoint
from adapters.providers.faults import broken
from adapters.providers.http import Requests, bearer
from adapters.providers.messages import obj, text
from adapters.providers.standing import Standing
from adapters.recognition import Heard, Outbox
from voicemesh.audio import write_wav
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from adapters.recognition import RecognitionRequest
    from voicemesh.audio import Samples

MAX_ANSWER = 1 << 20
"""Bytes of an answer that is not streamed."""


class OpenAiTranscriptionSettings(Endpoint):
    """Prefix ``VOICEMESH_OPENAI_STT_``."""

    model_config = SettingsConfigDict(env_prefix="VOICEMESH_OPENAI_STT_")
    provider: ClassVar[str] = "openai_stt"

    url: str = "https://api.openai.com/v1"
    secret: str = "env:OPENAI_API_KEY"  # noqa: S105 - where it is, not what it is
    model: str = "gpt-4o-mini-transcribe"
    """Model that listens."""
    stream: bool = True
    """Whether the answer is asked for as a stream; servers that cannot may answer whole."""


class OpenAiTranscriptionEngine:
    """Recognises utterances at such a server."""

    def __init__(self, settings: OpenAiTranscriptionSettings) -> None:
        self.settings = settings
        self.requests = Requests(settings, bearer)
        self.standing = Standing("stt", settings.provider)

    async def start(self) -> None:
        """Make the pool of connections; the server itself may come later."""
        await self.requests.start()

    def recognize(self, request: RecognitionRequest) -> OpenAiTranscription:
        """Begin an utterance."""
        return OpenAiTranscription(self, request)

    async def stop(self) -> None:
        """Close every connection."""
        await self.requests.stop()


@dataclass(frozen=True, slots=True)
class _Asked:
    samples: int
    at: float


class OpenAiTranscription:
    """One utterance."""

    def __init__(self, engine: OpenAiTranscriptionEngine, request: RecognitionRequest) -> None:
        self._engine = engine
        self._request = request
        self._outbox = Outbox()
        self._sound: list[Samples] = []
        self._fed = 0
        self._asked: list[_Asked] = []
        self._words, self._settled = "", 0
        self._work: asyncio.Task[None] | None = None
        self._finished = False

    def feed(self, samples: Samples) -> None:
        """Take further sound."""
        self._sound.append(samples)
        self._fed += samples.size

    def conclude(self) -> None:
        """Ask for a transcript of everything, once the one under way is there."""
        self._asked.append(_Asked(self._fed, time.monotonic()))
        if self._work is None:
            self._work = asyncio.create_task(self._run())

    def finish(self) -> None:
        """End behind the last final transcript."""
        self._finished = True
        self._end_if_answered()

    async def next(self) -> Heard | None:
        """Return the next transcript."""
        return await self._outbox.next()

    def close(self) -> None:
        """Drop the request that is under way, and the sound."""
        if self._work is not None:
            self._work.cancel()
        self._sound.clear()

    async def _run(self) -> None:
        try:
            while self._asked:
                await self._answer()
        except VoicemeshError as error:
            faults.hide(error, self._engine.settings)
            self._outbox.fail(error)
        except Exception as error:
            self._outbox.fail(faults.broken(f"an answer that cannot be read ({error!r:.80})"))
        self._work = None
        self._end_if_answered()

    async def _answer(self) -> None:
        """Answer all who have asked by now, with one request."""
        samples, since = self._fed, self._asked[-1].at
        if samples > self._settled:
            with self._engine.standing.watching():
                self._words = await self._transcribe(samples)
            self._engine.standing.first_result(since)
        self._settled = samples
        while self._asked and self._asked[0].samples <= samples:
            asked = self._asked.pop(0)
            seconds = time.monotonic() - asked.at
            self._outbox.put(Heard(self._words, True, samples, seconds))

    async def _transcribe(self, samples: int) -> str:
        request, settings = self._request, self._engine.settings
        self._sound = [np.concatenate(self._sound)]
        fields = {
            "model": settings.model,
            "language": request.language.partition("-")[0],
            "response_format": "json",
        }
        if settings.stream:
            fields["stream"] = "true"
        if request.phrases:
            fields["prompt"] = ", ".join(request.phrases)
        wav = BytesIO()
        write_wav(wav, request.rate, self._sound[0])
        files = {"file": ("utterance.wav", wav.getvalue(), "audio/wav")}
        async with self._engine.requests.post(
            "audio/transcriptions", data=fields, files=files
        ) as response:
            return await self._read(response, samples)

    async def _read(self, response: httpx.Response, samples: int) -> str:
        parts = self._engine.requests.parts(response)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            return await _whole(parts)
        words = ""
        async with aclosing(events(parts)) as told:  # type: ignore[type-var]
            async for event in told:
                match event and event.get("type"):
                    case "transcript.text.delta":
                        words += text((event or {}).get("delta"), "delta")
                        self._show(words.strip(), samples)
                    case "transcript.text.done":
                        return text((event or {}).get("text"), "text").strip()
        raise broken("a transcript that broke off")

    def _show(self, words: str, samples: int) -> None:
        if words and self._request.partials:
            self._outbox.put(Heard(words, False, samples, 0.0))

    def _end_if_answered(self) -> None:
        if self._finished and self._work is None and not self._asked:
            self._outbox.end()


async def _whole(parts: AsyncIterator[bytes]) -> str:
    kept = b""
    async for part in parts:
        kept += part
        if len(kept) > MAX_ANSWER:
            raise broken(f"an answer of more than {MAX_ANSWER} bytes")
    answer: dict[str, Any] = obj(kept)
    return text(answer.get("text"), "text").strip()


def engine(settings: OpenAiTranscriptionSettings) -> OpenAiTranscriptionEngine:
    """Return the engine."""
    return OpenAiTranscriptionEngine(settings)


SETTINGS = OpenAiTranscriptionSettings
