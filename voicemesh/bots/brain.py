"""Where a bot's answers come from, and how its conversation is divided into states."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from voicemesh.bots.parts import Address, Name, Part, Phrase, Seconds, ToolName, filled, secret

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["llm", "webhook", "grpc"]


class _Remote(Part):
    """A brain of somebody else's."""

    zone: str = Field(default="", pattern=r"^[a-z0-9_-]{0,64}$")
    """Residency zone that it runs in; a bot with ``residency`` may only use one of its zones."""
    deadline_seconds: Seconds = 5.0
    """How long it may take to its first action, and from one action to the next, seconds."""
    most_seconds: Seconds = 30.0
    """How long one answer may take in all, seconds."""
    secret: str = Field(default="", max_length=500)
    """``${NAME}``, or ``@FILE``: what it knows us by."""

    def secret_value(self, environ: Mapping[str, str] = os.environ) -> str:
        """Return the secret itself; raise Misconfigured if it is not there."""
        return secret(self.secret, "brain: secret", environ)


class WebhookBrain(_Remote):
    """Each turn is an HTTP request; its answer is what the bot does."""

    url: Address
    """Address. ``${NAME}`` and ``${NAME:-default}`` are taken from the environment."""

    def address(self, environ: Mapping[str, str] = os.environ) -> str:
        """Return the url with the environment's values in it; raise Misconfigured if one lacks."""
        return filled(self.url, "brain.webhook.url", environ)


class GrpcBrain(_Remote):
    """Each turn is a call of ``voicemesh.api.bot.v1.BotService``."""

    target: Address
    """Host and port. ``${NAME}`` and ``${NAME:-default}`` are taken from the environment."""
    tls: bool = False
    """Whether the connection is encrypted; the system's certificates are trusted."""

    def address(self, environ: Mapping[str, str] = os.environ) -> str:
        """Return the target with the environment's values in it; raise Misconfigured as above."""
        return filled(self.target, "brain.grpc.target", environ)


class Brain(Part):
    """Where answers come from: a language engine (``engines.llm``) unless something else is set."""

    webhook: WebhookBrain | None = None
    """Somebody's HTTP endpoint."""
    grpc: GrpcBrain | None = None
    """Somebody's gRPC service."""
    opens: bool = False
    """Whether the brain says the first words; if not, ``greeting`` does."""
    filler: str = Field(default="", max_length=300)
    """What to say when an answer is slow to begin; empty says nothing."""
    filler_after_seconds: Seconds = 1.0
    """How long to wait for it, seconds."""
    most_characters: int = Field(default=2000, ge=20, le=20000)
    """Longest reply to one turn; the rest is not said."""

    @property
    def remote(self) -> WebhookBrain | GrpcBrain | None:
        """The brain that is not a language engine, if it is one."""
        return self.webhook or self.grpc

    @property
    def kind(self) -> Kind:
        """Name in the table of brains."""
        if self.webhook:
            return "webhook"
        return "grpc" if self.grpc else "llm"


class State(Part):
    """A part of a conversation, with a task of its own."""

    prompt: str = Field(default="", max_length=20000)
    """What is to be done in it: joins the bot's ``persona``."""
    tools: tuple[ToolName, ...] | None = None
    """Names of the tools that are at hand; missing: all of them."""
    intents: tuple[Name, ...] | None = None
    """Names of the intents that are understood; missing: all of them."""
    goes_to: dict[Name, Phrase] = Field(default_factory=dict, max_length=32)
    """States that may follow, each with when to go there."""


class Flow(Part):
    """The states of a conversation."""

    start: Name
    """State that a call begins in."""
    states: dict[Name, State] = Field(min_length=1, max_length=32)
    """All of them, by name."""
