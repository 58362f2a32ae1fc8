"""How a provider does: every outcome is counted, and wrong credentials stay visible."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from adapters.providers.faults import DENIED
from voicemesh import telemetry
from voicemesh.errors import VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTCOMES = Counter(
    "voicemesh_provider_outcomes",
    "Utterances, sentences and replies asked of a provider, by what came of them",
    ["sense", "provider", "outcome"],
)
DENIES = Gauge(
    "voicemesh_provider_denies",
    "1 from a refusal of our credentials until the provider serves us again",
    ["sense", "provider"],
)
FIRST_SECONDS = Histogram(
    "voicemesh_provider_first_seconds",
    "From asking a provider to its first result",
    ["sense", "provider"],
    buckets=(0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
)

_log = telemetry.get_logger("adapters")


class Standing:
    """What this process knows of one provider."""

    def __init__(self, sense: str, provider: str) -> None:
        self.denied = False
        """Whether it refused our credentials, and has not served us since."""
        self._labels = sense, provider
        DENIES.labels(*self._labels).set(0)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what becomes of the block."""
        try:
            yield
        except VoicemeshError as error:
            self.failed(error)
            raise
        else:
            self.served()

    def served(self) -> None:
        """Note a result."""
        OUTCOMES.labels(*self._labels, "OK").inc()
        self._set(denied=False)

    def failed(self, error: VoicemeshError) -> None:
        """Note a failure."""
        OUTCOMES.labels(*self._labels, error.reason).inc()
        if error.reason in (DENIED, "NO_SECRET"):
            if not self.denied:
                sense, provider = self._labels
                _log.error("credentials refused", sense=sense, provider=provider)
            self._set(denied=True)

    def first_result(self, asked: float) -> None:
        """Note that the first result came, to what was asked at this monotonic time."""
        FIRST_SECONDS.labels(*self._labels).observe(time.monotonic() - asked)

    def _set(self, *, denied: bool) -> None:
        self.denied = denied
        DENIES.labels(*self._labels).set(denied)
