"""What a caller asks for when it places a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from voicemesh.api.call.v1 import call_pb2
from voicemesh.client.convert import format_to_proto

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Required

    from voicemesh.audio import AudioFormat


class Wishes(TypedDict, total=False):
    """The keywords of `Call.place`; `Request` says what each means."""

    bot: Required[str]
    caller_format: Required[AudioFormat]
    bot_format: AudioFormat | None
    caller: str
    callee: str
    variables: Mapping[str, str]
    send_silence: bool
    keep_sound: bool
    resumable: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """A call that is wanted."""

    bot: str
    """Name of the bot."""
    caller_format: AudioFormat
    """Form of the audio that is sent."""
    bot_format: AudioFormat | None = None
    """Form of the audio to be heard; None: as `caller_format`."""
    caller: str = ""
    """Caller's number or address."""
    callee: str = ""
    """Number or address dialled."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables for the bot."""
    send_silence: bool = True
    """Whether silence is sent, as phones do, or left out."""
    keep_sound: bool = True
    """Whether what the bot says is kept for a recording."""
    resumable: bool = True
    """Whether the call goes on with another gateway when the one that holds it dies."""

    def to_proto(self) -> call_pb2.Start:
        """Return the message that begins the call."""
        heard = self.bot_format or self.caller_format
        return call_pb2.Start(
            bot=self.bot,
            caller_format=format_to_proto(self.caller_format),
            bot_format=format_to_proto(heard),
            caller=self.caller,
            callee=self.callee,
            variables=self.variables,
            resumable=self.resumable,
        )
