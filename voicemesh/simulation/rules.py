"""The rules of admission, placement and retry, as the code has them.

Whatever can be imported is: what a replica admits (`voicemesh.admission`), when a gateway opens
again (`voicemesh.reopening`), when callers do (`voicemesh.client`). Numbers of Envoy's are given by
whoever generates its configuration. Only Envoy's own arithmetic is written again, from its
documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicemesh.client.lines import OPEN_BACKOFF_SECONDS
from voicemesh.client.resuming import BACKOFF_SECONDS, GIVE_UP_SECONDS
from voicemesh.reopening import FULL_ATTEMPTS


@dataclass(frozen=True)
class Rules:
    """What happens to an opening that is refused, or whose region is gone."""

    envoy_retries: int = 4
    """How often Envoy offers an opening to another replica."""
    envoy_backoff_seconds: float = 0.01
    """Base of its back-off, which doubles up to ten times as much."""
    overprovisioning: float = 2.0
    """Healthy replicas times this are taken for a whole region (Envoy's priority levels)."""
    session_attempts: int = FULL_ATTEMPTS
    """Openings by a gateway until it says that the mesh is full."""
    caller_backoff_seconds: tuple[float, ...] = OPEN_BACKOFF_SECONDS
    """How long callers wait until they begin again a call that nobody took."""
    resume_backoff_seconds: tuple[float, ...] = BACKOFF_SECONDS
    """How long they wait between attempts to go on with a call whose gateway is gone."""
    patience_seconds: float = GIVE_UP_SECONDS
    """How long an opening may take in all."""
    detect_seconds: float = 0.4
    """Until a region that has gone silent is taken for dead (HTTP/2 pings)."""

    def local_share(self, healthy: float) -> float:
        """Return the share of openings that stay where a share of the replicas is healthy.

        Envoy: the load of the first priority is its healthy share times the overprovisioning
        factor, at most all.
        """
        return min(1.0, healthy * self.overprovisioning)

    def refusal_seconds(self) -> float:
        """Return how long it takes, on average, until a full region has refused an opening.

        Envoy waits between 0 and (2^n - 1) bases before its nth retry, at most ten bases.
        """
        base = self.envoy_backoff_seconds
        waits = (min((2.0**n - 1) * base, 10 * base) / 2 for n in range(1, self.envoy_retries + 1))
        return sum(waits)
