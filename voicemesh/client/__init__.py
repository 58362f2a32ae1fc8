"""The Python client for callers: place a call, speak, listen, measure."""

from voicemesh.client.answers import Answer
from voicemesh.client.call import Call
from voicemesh.client.events import (
    Action,
    BotAudio,
    Cleared,
    Ended,
    Event,
    Resumed,
    Started,
    Transcript,
    Turn,
)
from voicemesh.client.mouth import CallerClock, Utterance, speech_bounds
from voicemesh.client.playback import Hole, Playback
from voicemesh.client.record import call_record
from voicemesh.client.request import Request
from voicemesh.client.script import (
    AwaitReply,
    HangUp,
    Interrupt,
    Pause,
    Play,
    Press,
    Say,
    Step,
    perform,
    voiced,
)
from voicemesh.client.sound import FORMATS, load_speech, parse_format, resampled
from voicemesh.client.speaker import Speaker

__all__ = [
    "FORMATS",
    "Action",
    "Answer",
    "AwaitReply",
    "BotAudio",
    "Call",
    "CallerClock",
    "Cleared",
    "Ended",
    "Event",
    "HangUp",
    "Hole",
    "Interrupt",
    "Pause",
    "Play",
    "Playback",
    "Press",
    "Request",
    "Resumed",
    "Say",
    "Speaker",
    "Started",
    "Step",
    "Transcript",
    "Turn",
    "Utterance",
    "call_record",
    "load_speech",
    "parse_format",
    "perform",
    "resampled",
    "speech_bounds",
    "voiced",
]
