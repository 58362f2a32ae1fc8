from __future__ import annotations

from voicemesh.api.call.v1 import call_pb2
from voicemesh.client.lines import Lines
from voicemesh.client.resuming import LineStood, MoveAsked, Resuming
from voicemesh.errors import VoicemeshError


class Nobody:
    """A call that is not there."""

    def came(self, message: call_pb2.ConverseResponse) -> None: ...

    def resumed(self, started: call_pb2.Started) -> None: ...

    def lost(self, error: VoicemeshError) -> None: ...

    def standing(self) -> tuple[int, int, int]:
        return 0, 0, 0


async def test_what_a_line_was_promised_is_kept_until_it_stands() -> None:
    lines = Lines("127.0.0.1:1", call_pb2.Start(), Nobody(), 8000, lambda: 0.0)
    lines._state = moving = Resuming(0.0)
    for frame in range(10):
        lines.kept.audio(160 * frame, 160, call_pb2.ConverseRequest())
    lines._remember(call_pb2.Resume(segment=b"s", committed_offset=320))
    assert lines.kept.held_offset == 320
    moving.handle(MoveAsked(10), 0.0)
    # Whoever is being dialled may want what it was told can be sent again: from 320 on.
    lines._remember(call_pb2.Resume(committed_offset=640))
    assert lines.kept.held_offset == 320
    moving.handle(LineStood(1), 0.1)
    lines._remember(call_pb2.Resume(committed_offset=640))
    assert lines.kept.held_offset == 640
