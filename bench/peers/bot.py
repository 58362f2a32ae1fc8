"""A phone bot on Pipecat, put together as its documentation does it: the peer that is measured.

FastAPI and uvicorn (with uvloop), the Twilio serializer, one pipeline per call, all calls in one
process, every default left alone except what `--vad` names. Recogniser, language model and voice
are stubs that answer after fixed delays, as the scripted engines of voicemesh do, with sentences of
the same length:

energy    Pipecat's own voice activity path with an energy test for a model, turns end by time
silero    the same with Pipecat's Silero analyzer
defaults  Silero, and turns end as Pipecat decides by default (the smart turn model)

Runs in the environment of `requirements.txt`; prints READY when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import (
    UserTurnStrategies,
    default_user_turn_stop_strategies,
)
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

RATE = 8000
GREETING = "Hello, this is the echo."
HEARD = "utterance of 2700 ms"
CHUNK_SECONDS = 0.1
"""Voices stream their audio in pieces of about this length."""
LOUD = 500
"""Peak-to-peak amplitude of a window that counts as speech, of 65,536."""


@dataclass(frozen=True)
class Delays:
    """How long the stubs take; seconds, and tokens per second (0: sentence by sentence at once)."""

    stt_final: float = 0.0
    llm_first_token: float = 0.0
    llm_token_rate: float = 0.0
    tts_first_audio: float = 0.0


class EnergyVad(VADAnalyzer):
    """Loud is speech, for windows of 20 ms."""

    def num_frames_required(self) -> int:
        return self.sample_rate // 50

    def voice_confidence(self, buffer: bytes) -> float:
        samples = np.frombuffer(buffer, np.int16)
        return float(int(samples.max()) - int(samples.min()) > LOUD)


class StubRecogniser(STTService):
    """Has a final transcript a fixed time after the caller stopped."""

    def __init__(self, delay: float) -> None:
        settings = STTSettings(model="stub", language=None)
        super().__init__(ttfs_p99_latency=delay, settings=settings)
        self._delay = delay

    def can_generate_metrics(self) -> bool:
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            if self._delay:
                self.create_task(self._conclude())
            else:
                await self._conclude()

    async def _conclude(self) -> None:
        await asyncio.sleep(self._delay)
        transcript = TranscriptionFrame(HEARD, "", time_now_iso8601())
        transcript.finalized = True
        await self.push_frame(transcript)


class StubModel(LLMService):
    """Says what was heard, in two sentences."""

    def __init__(self, first_token: float, token_rate: float) -> None:
        unset = dict.fromkeys(
            (
                "system_instruction",
                "temperature",
                "max_tokens",
                "top_p",
                "top_k",
                "frequency_penalty",
                "presence_penalty",
                "seed",
                "user_turn_completion_config",
            )
        )
        super().__init__(
            settings=LLMSettings(model="stub", filter_incomplete_user_turns=False, **unset)
        )
        self._first = first_token
        self._rate = token_rate

    def can_generate_metrics(self) -> bool:
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        await self.start_ttfb_metrics()
        turn = sum(message["role"] == "user" for message in frame.context.get_messages())
        await self._say(f"You said: {HEARD}. That was turn {turn}.")
        await self.stop_processing_metrics()
        await self.push_frame(LLMFullResponseEndFrame())

    async def _say(self, text: str) -> None:
        await asyncio.sleep(self._first)
        await self.stop_ttfb_metrics()
        for token in re.findall(r"\s*\S+" if self._rate else r"\s*[^.]+\.", text):
            await self.push_frame(LLMTextFrame(token))
            if self._rate:
                await asyncio.sleep(1 / self._rate)


class StubVoice(TTSService):
    """Hums each sentence, as long as the scripted voice of voicemesh speaks it."""

    def __init__(self, first_audio: float) -> None:
        super().__init__(
            sample_rate=RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="stub", voice="stub", language=None),
        )
        self._first = first_audio

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await self.start_tts_usage_metrics(text)
        await asyncio.sleep(self._first)
        await self.stop_ttfb_metrics()
        sound = hum(0.16 + 0.0225 * len(text))
        step = int(RATE * CHUNK_SECONDS) * 2
        for at in range(0, len(sound), step):
            yield TTSAudioRawFrame(sound[at : at + step], RATE, 1, context_id=context_id)


def hum(seconds: float) -> bytes:
    """Return a tone, 16-bit PCM."""
    times = np.arange(int(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 330 * times)).astype(np.int16).tobytes()


def turn_taking(vad: str) -> LLMUserAggregatorParams:
    """Return how the bot notices speech and the end of a turn."""
    if vad == "defaults":
        return LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    return LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer() if vad == "silero" else EnergyVad(),
        user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()]),
    )


async def hold_call(socket: WebSocket, start: dict[str, str], vad: str, delays: Delays) -> None:
    """Run the pipeline of one call until its caller is gone."""
    unbilled = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer(start["streamSid"], start["callSid"], params=unbilled)
    transport = FastAPIWebsocketTransport(
        websocket=socket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            add_wav_header=False,
            serializer=serializer,
        ),
    )
    context = LLMContext([{"role": "system", "content": "You repeat what you hear."}])
    aggregators = LLMContextAggregatorPair(context, user_params=turn_taking(vad))
    pipeline = Pipeline(
        [
            transport.input(),
            StubRecogniser(delays.stt_final),
            aggregators.user(),
            StubModel(delays.llm_first_token, delays.llm_token_rate),
            StubVoice(delays.tts_first_audio),
            transport.output(),
            aggregators.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(
            audio_in_sample_rate=RATE,
            audio_out_sample_rate=RATE,
            enable_metrics=True,
            enable_usage_metrics=True,
        ),
    )

    @transport.event_handler("on_client_connected")
    async def greet(_transport: object, _client: object) -> None:
        await worker.queue_frames([TTSSpeakFrame(GREETING)])

    @transport.event_handler("on_client_disconnected")
    async def leave(_transport: object, _client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def application(vad: str, delays: Delays) -> FastAPI:
    """Return the server; calls come in where voicemesh has its own Twilio sockets."""
    app = FastAPI()

    @app.websocket("/carriers/twilio/{bot}")
    async def converse(socket: WebSocket, bot: str) -> None:
        await socket.accept()
        messages = socket.iter_text()
        await anext(messages)  # connected
        await hold_call(socket, json.loads(await anext(messages))["start"], vad, delays)

    return app


class _Announced(uvicorn.Server):
    """Tells whoever started it that it listens."""

    async def startup(self, sockets: list[object] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write("READY\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--vad", choices=("energy", "silero", "defaults"), required=True)
    for name in Delays.__dataclass_fields__:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0)
    told = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    # What the first call would otherwise pay for.
    if told.vad == "defaults":
        default_user_turn_stop_strategies()
    delays = Delays(**{name: getattr(told, name) for name in Delays.__dataclass_fields__})
    app = application(told.vad, delays)
    config = uvicorn.Config(app, "127.0.0.1", told.port, log_level="error")
    _Announced(config).run()


if __name__ == "__main__":
    main()
