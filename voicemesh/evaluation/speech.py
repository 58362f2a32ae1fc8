"""Plays clips to a bot that listens, as calls in real time, and keeps what it understood."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.channel import open_channel
from voicemesh.client import Call, load_speech
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import grpc.aio

    from voicemesh.audio import AudioFormat
    from voicemesh.client import Transcript, Utterance
    from voicemesh.evaluation.clips import Clip

LEAD_SECONDS = 0.3
"""Silence before a clip: nobody speaks in the first moment of a call."""
QUIET_SECONDS = 1.5
"""No word for so long after speech ended, and some words before: there will be no more."""
DEADLINE_SECONDS = 8.0
"""Not a word for so long after speech ended: nothing was understood."""


@dataclass(frozen=True, slots=True)
class Listening:
    """How clips are sent."""

    target: str
    """Where calls come in."""
    fmt: AudioFormat
    """Form in which they are sent."""
    bot: str = "listener"
    """The bot that is called."""


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What was understood of one clip."""

    clip: Clip
    """The clip."""
    text: str
    """All final words of the caller, joined."""
    latency: float | None
    """Seconds from the last sample of speech sent to the last final transcript; None: none came."""
    finals: int = 0
    """How many final transcripts it took; more than one is a sentence cut in two."""
    error: str = ""
    """Why the call failed; empty if it did not."""


async def evaluate(
    clips: Sequence[Clip], listening: Listening, concurrency: int = 2
) -> AsyncGenerator[ClipResult, None]:
    """Yield the result of each clip as it comes, `concurrency` calls at a time."""
    places = asyncio.Semaphore(concurrency)
    channel = open_channel(listening.target)

    async def one(clip: Clip) -> ClipResult:
        async with places:
            return await hear(clip, listening, channel)

    tasks = [asyncio.create_task(one(clip)) for clip in clips]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await channel.close()


async def hear(
    clip: Clip, listening: Listening, channel: grpc.aio.Channel | None = None
) -> ClipResult:
    """Call, play one clip, and wait for the words; a call that fails is a result, too."""
    samples = load_speech(clip.path, listening.fmt.rate)
    try:
        async with Call.place(
            listening.target,
            channel=channel,
            bot=listening.bot,
            caller_format=listening.fmt,
            keep_sound=False,
        ) as call:
            await asyncio.sleep(LEAD_SECONDS)
            utterance = await call.say(samples)
            await _await_words(call, utterance)
            return _result(clip, call, utterance)
    except VoicemeshError as error:
        return ClipResult(clip, "", None, error=str(error))


def _finals(call: Call) -> list[Transcript]:
    return [words for words in call.transcripts if words.speaker == "caller"]


async def _await_words(call: Call, utterance: Utterance) -> None:
    spoken = call.sent.sent_at(utterance.speech_end) or call.clock()
    while not call.over:
        finals = _finals(call)
        quiet_since = max(finals[-1].arrived, spoken) if finals else spoken
        patience = QUIET_SECONDS if finals else DEADLINE_SECONDS
        left = quiet_since + patience - call.clock()
        if left <= 0:
            return
        await call.change(left)


def _result(clip: Clip, call: Call, utterance: Utterance) -> ClipResult:
    finals = _finals(call)
    spoken = call.sent.sent_at(utterance.speech_end)
    text = " ".join(words.text.strip() for words in finals)
    heard = finals and spoken is not None
    latency = finals[-1].arrived - spoken if heard and spoken is not None else None
    return ClipResult(clip, text, latency, len(finals))
