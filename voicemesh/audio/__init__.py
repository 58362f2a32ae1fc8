"""Audio as the parts share it: formats, G.711, resampling, offsets, WAV files; all pure."""

from voicemesh.audio.codec import Decoder, Encoder
from voicemesh.audio.format import (
    MAX_CHUNK_SECONDS,
    MESH_RATES,
    SAMPLE_RATES,
    AudioFormat,
    Encoding,
    Samples,
    internal_rate,
    milliseconds,
    rescale,
    sample_count,
)
from voicemesh.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from voicemesh.audio.offsets import Chunk, Inbox, Placement, ReplayBuffer
from voicemesh.audio.resample import Resampler
from voicemesh.audio.wav import read_wav, write_wav

__all__ = [
    "MAX_CHUNK_SECONDS",
    "MESH_RATES",
    "SAMPLE_RATES",
    "AudioFormat",
    "Chunk",
    "Decoder",
    "Encoder",
    "Encoding",
    "Inbox",
    "Placement",
    "ReplayBuffer",
    "Resampler",
    "Samples",
    "decode_alaw",
    "decode_mulaw",
    "encode_alaw",
    "encode_mulaw",
    "internal_rate",
    "milliseconds",
    "read_wav",
    "rescale",
    "sample_count",
    "write_wav",
]
