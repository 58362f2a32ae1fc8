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
    world: str = ""
    """File that tells of regions, zones and tenants, written by the mesh; empty: there is one
    region, and nobody is refused for where it is."""
    records: str = ""
    """Folder that gets the record of each finished call, a JSON file; empty writes none."""
    models: Literal["embedded", "scripted"] = "embedded"
    """``scripted``: the mesh speaks with its scripted voice, whatever bots' files say."""
    webhook_url: str = ""
    """Receiver of webhooks, http(s)://…; empty sends none."""
    webhook_secret: SecretStr = SecretStr("")
    """What signs them: `whsec_` and base64, or @FILE with that."""
    webhook_queue: str = ""
    """Folder in which events wait for the receiver, a file for each gateway; needed with a URL."""
    webhook_timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    """How long the receiver may take to take an event, seconds."""
    webhook_incoming_seconds: float = Field(default=2.0, gt=0, le=10)
    """How long it may take to say what to do with a call that comes in, seconds."""
    webhook_keep_seconds: float = Field(default=259200.0, ge=60, le=2592000)
    """How long an event is kept that the receiver does not take, seconds."""
    carriers: str = ""
    """Carriers file: accounts that place the calls which applications ask for, and how carriers
    sign their webhooks; empty: none."""
    recordings: str = ""
    """Folder that gets the recordings that applications ask for, WAV files; empty records none."""
    numbers: str = ""
    """Numbers file: which bot takes the calls to which number; empty: callers name their bot."""
    sockets: str = ""
    """Address, host:port, on which carriers' WebSockets come in; empty takes none."""
    audiosocket: str = ""
    """Address, host:port, on which Asterisk's AudioSocket (TCP) comes in; empty takes none."""
    answers: str = ""
    """Address, host:port, on which carriers ask what to do with calls; empty: nowhere."""
    public_url: str = ""
    """How carriers reach `sockets` and `answers`, as wss://voice.example.com: what they are told,
    and what their signatures cover."""
    carrier_token: SecretStr = SecretStr("")
    """What a carrier's socket must bring along, as `?token=` or as a parameter; empty: nothing."""
    twilio_auth_token: SecretStr = SecretStr("")
    """Auth token of the Twilio account whose signature sockets must carry; empty: none."""
    genesys_api_key: SecretStr = SecretStr("")
    """API key that Genesys' sockets must carry; empty: none."""
    genesys_client_secret: SecretStr = SecretStr("")
    """Client secret, in base64, by which Genesys signs them; empty: the key is enough."""
    carrier_start_seconds: float = Field(default=5.0, gt=0, le=60)
    """How long a carrier's socket may take to begin a call, seconds."""
    carrier_idle_seconds: float = Field(default=60.0, gt=0, le=3600)
    """How long nothing may come over a carrier's socket, seconds."""
    carriers_waiting: int = Field(default=256, ge=1, le=10000)
    """Carriers' sockets that may be open without having begun a call; more are refused."""
    teler_audio_shape: Literal["flat", "nested", "both"] = "flat"
    """How audio is written to Teler, whose sources disagree."""
    teler_playback_rate: Literal[8000, 16000] = 8000
    """Samples per second that Teler plays."""
    resume_keys: SecretStr = SecretStr("")
    """Keys that seal what callers hold of their calls: 32 bytes each in base64, the newest first,
    separated by commas, or @FILE with them; the same for all gateways. Without any, a call can be
    resumed only by the process that held it."""
    resume_seconds: float = Field(default=900.0, gt=0, le=86400)
    """How long after it was sealed a call's memory can be resumed, seconds."""
