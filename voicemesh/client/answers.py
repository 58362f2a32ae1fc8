"""How long a caller waited for each answer, by the caller's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicemesh.client.mouth import CallerClock, Mouth, Utterance
    from voicemesh.client.playback import Playback


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the bot."""

    utterance: Utterance
    """What the caller had said."""
    spoken_at: float
    """When the last of its speech was sent."""
    answered_at: float
    """When the first bot audio after that arrived."""

    @property
    def seconds(self) -> float:
        """The wait."""
        return self.answered_at - self.spoken_at


def answers(mouth: Mouth, clock: CallerClock, playback: Playback) -> list[Answer]:
    """Return the answers so far; an utterance that got none before the next one is left out."""
    found = []
    said = [spoken for spoken in mouth.utterances if spoken.speech_end > spoken.speech_start]
    for number, utterance in enumerate(said):
        spoken_at = clock.sent_at(utterance.speech_end)
        if spoken_at is None:
            break
        answered_at = playback.first_heard_after(spoken_at)
        following = said[number + 1 : number + 2]
        too_late = clock.sent_at(following[0].offset + 1) if following else None
        if answered_at is not None and (too_late is None or answered_at < too_late):
            found.append(Answer(utterance, spoken_at, answered_at))
    return found
