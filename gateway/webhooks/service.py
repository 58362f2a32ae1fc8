"""The webhooks of one gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.webhooks.incoming import IncomingRouting
from gateway.webhooks.outgoing import Outgoing
from gateway.webhooks.sender import Sender
from voicemesh.errors import Misconfigured
from voicemesh.redaction import Redactor

if TYPE_CHECKING:
    from gateway.config import GatewaySettings
    from gateway.routing import Routing
    from voicemesh.api.control.v1 import event_pb2


class Webhooks:
    """Tells one receiver what happens, and asks it about calls that come in."""

    def __init__(self, settings: GatewaySettings, tag: str) -> None:
        """Raise Misconfigured where the secret or the folder is missing."""
        if not settings.webhook_queue:
            raise Misconfigured("VOICEMESH_WEBHOOK_QUEUE: a folder is needed to keep events in")
        self._settings = settings
        self._tag = tag
        self._sender = Sender(settings)
        path = Path(settings.webhook_queue) / f"{settings.region}-{settings.replica}.sqlite"
        redactor = Redactor(settings.redact, settings.redact_countries)
        self._outgoing = Outgoing(path, self._sender, settings.webhook_keep_seconds, redactor)

    def routing(self, others: Routing) -> Routing:
        """Return a routing that asks the receiver about what another one routes."""
        seconds = self._settings.webhook_incoming_seconds
        return IncomingRouting(self._sender, others, seconds, self._tag)

    def publish(self, event: event_pb2.CallEvent) -> None:
        """Tell the receiver of an event."""
        self._outgoing.publish(event)

    async def start(self) -> None:
        """Begin to deliver, first what was left."""
        await self._outgoing.start()

    async def close(self) -> None:
        """Stop; what was not taken is kept for the next process of this name."""
        await self._outgoing.close()
