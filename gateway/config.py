"""Settings of a gateway."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from voicemesh.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """What a gateway needs, besides what every process does."""

    read_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a caller may leave a message unread, seconds."""
    start_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a caller may take to its first message, seconds."""
    records: str = ""
    """Folder that gets the record of each finished call, a JSON file; empty writes none."""
    models: Literal["embedded", "scripted"] = "embedded"
    """``scripted``: the mesh speaks with its scripted voice, whatever bots' files say."""
    recordings: str = ""
    """Folder that gets the recordings that applications ask for, WAV files; empty records none."""
    numbers: str = ""
    """Numbers file: which bot takes the calls to which number; empty: callers name their bot."""
    resume_keys: SecretStr = SecretStr("")
    """Keys that seal what callers hold of their calls: 32 bytes each in base64, the newest first,
    separated by commas, or @FILE with them; the same for all gateways. Without any, a call can be
    resumed only by the process that held it."""
    resume_seconds: float = Field(default=900.0, gt=0, le=86400)
    """How long after it was sealed a call's memory can be resumed, seconds."""
