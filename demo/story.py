"""What the caller of the demo says and does, and what must come of it."""

from __future__ import annotations

from voicemesh.client import AwaitReply, Interrupt, Say, Step

BOT = "frontdesk"
CALLER = "+15550117"

QUESTION = "Hello. What are your opening hours on Saturday?"
BOOKING = "I'd like to book an appointment for Tuesday at three in the afternoon."
NAME = "My name is Anna Miller."
LONG_QUESTION = "What should I bring to my first visit?"
INTERRUPTION = "Sorry to interrupt. Is there parking at the practice?"
CORRECTION = "Actually, could you make my appointment on Wednesday instead?"
GOODBYE = "No, that's everything. Thank you, goodbye."

STEPS: tuple[Step, ...] = (
    AwaitReply(),
    Say(QUESTION),
    AwaitReply(),
    Say(BOOKING),
    AwaitReply(),
    Say(NAME),
    AwaitReply(),
    Say(LONG_QUESTION),
    Interrupt(Say(INTERRUPTION), after_seconds=2.0),
    AwaitReply(),
    Say(CORRECTION),
    AwaitReply(),
    Say(GOODBYE),
    AwaitReply(),
)
