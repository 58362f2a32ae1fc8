"""What a process says about itself: structured logs, Prometheus metrics, a span for every turn."""

from __future__ import annotations

import asyncio
import logging
import math
import mmap
import sys
from collections import deque
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from voicemesh.errors import Misconfigured
from voicemesh.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from voicemesh.admission import Admission
    from voicemesh.settings import ServiceSettings

_QUOTING = frozenset({"problem", "error", "exception", "detail", "text"})
"""Keys of log lines that may quote what people and services said."""

CALLS = Gauge("voicemesh_calls", "Streams served now")
REFUSED = Counter("voicemesh_refused", "Streams refused before their first answer", ["reason"])
PEERS_REFUSED = Counter(
    "voicemesh_peers_refused", "Requests of processes that may not speak to this one"
)
LOOP_LAG_P95 = Gauge("voicemesh_loop_lag_p95_seconds", "Lateness of a timer, p95 of 10 s")
LOOP_BLOCKED = Counter(
    "voicemesh_loop_blocked", "Times that connections were cut because the event loop was blocked"
)
TURN_SECONDS = Histogram(
    "voicemesh_turn_seconds",
    "End of the caller's speech to first audio played",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0),
)
STAGE_SECONDS = Histogram(
    "voicemesh_stage_seconds",
    "Time of one stage of a turn",
    ["stage"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0),
)

ENGINE_FAILURES = Counter(
    "voicemesh_engine_failures",
    "Times an engine broke off, refused or missed its deadline",
    ["sense", "engine"],
)

ENGINE_ATTEMPTS = Counter(
    "voicemesh_engine_attempts",
    "What became of what an engine was asked: worked, lost to another, empty, failed, missed its "
    "deadline; hedged: it was asked beside one that is slow",
    ["sense", "engine", "outcome"],
)
ENGINE_BROKEN = Gauge(
    "voicemesh_engine_broken",
    "1 while this process leaves an engine out where there is another",
    ["sense", "engine"],
)
ENGINE_FIRST_SECONDS = Histogram(
    "voicemesh_engine_first_seconds",
    "From the need to an engine's first result: final words, a token, a sound that can be heard",
    ["sense", "engine"],
    buckets=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
)

LAG_PERIOD = 0.1
LAG_WINDOW = 100


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger; bind ``call_id`` and ``turn`` where they are known."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(part=name))


def _redacting(redactor: Redactor) -> structlog.types.Processor:
    """Return what takes people's numbers out of whatever a line quotes."""

    def process(_: object, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
        for name in _QUOTING & line.keys():
            line[name] = redactor.redact(str(line[name]))
        return line

    return process


def configure(settings: ServiceSettings) -> None:
    """Write JSON lines to stderr, serve metrics, and export spans if an endpoint is set."""
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redacting(Redactor(settings.redact, settings.redact_countries)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(replica=settings.replica, region=settings.region)
    if settings.metrics_port:
        _serve_metrics(settings.metrics_port)
    if settings.otlp:
        _export_spans(settings)


def _serve_metrics(port: int) -> None:
    try:
        start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise Misconfigured(
            f"VOICEMESH_METRICS_PORT: port {port} is taken ({error.strerror}); choose another",
            port=port,
        ) from error


def _export_spans(settings: ServiceSettings) -> None:
    # The exporter is an extra: most meshes scrape metrics and read logs, and need no spans.
    try:
        module = import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "VOICEMESH_OTLP is set, but its exporter is not installed: "
            "run `pip install opentelemetry-exporter-otlp-proto-grpc`",
            field="VOICEMESH_OTLP",
        ) from error
    resource = Resource.create(
        {"service.name": "voicemesh", "service.instance.id": settings.replica}
    )
    provider = TracerProvider(resource=resource)
    exporter = module.OTLPSpanExporter(endpoint=settings.otlp, insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def record_turn(
    call_id: str, turn: int, end_unix_seconds: float, stages: Iterable[tuple[str, float]]
) -> None:
    """Count one turn's waterfall and make a span of it, with one child for each stage.

    ``stages`` are (name, seconds) in order; ``end_unix_seconds`` is when the last of them ended.
    """
    parts = list(stages)
    total = math.fsum(seconds for _, seconds in parts)
    TURN_SECONDS.observe(total)
    start = end_unix_seconds - total
    tracer = trace.get_tracer("voicemesh")
    attributes: dict[str, Any] = {"call_id": call_id, "turn": turn}
    span = tracer.start_span("turn", start_time=_nanos(start), attributes=attributes)
    context = trace.set_span_in_context(span)
    for name, seconds in parts:
        STAGE_SECONDS.labels(name).observe(seconds)
        child = tracer.start_span(name, context=context, start_time=_nanos(start))
        start += seconds
        child.end(_nanos(start))
    span.end(_nanos(start))


def _nanos(seconds: float) -> int:
    return int(seconds * 1e9)


class LoopLag:
    """Lateness of a timer on this event loop: the honest signal of saturation."""

    def __init__(self, admission: Admission | None = None) -> None:
        """``admission`` is told of each sample, and of the process's memory."""
        self._samples: deque[float] = deque(maxlen=LAG_WINDOW)
        self._admission = admission

    @property
    def p95(self) -> float:
        """Seconds; 0 while nothing was measured."""
        if not self._samples:
            return 0.0
        ordered = sorted(list(self._samples))  # a copy: metrics are read by another thread
        return ordered[int(0.95 * (len(ordered) - 1))]

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_PERIOD
            await asyncio.sleep(LAG_PERIOD)
            late = max(0.0, loop.time() - due)
            self._samples.append(late)
            if self._admission:
                self._admission.lagged(late)
                self._admission.grew(_resident_bytes())


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0  # not Linux: memory is not limited


@asynccontextmanager
async def measuring_lag(admission: Admission | None = None) -> AsyncIterator[LoopLag]:
    """Measure this loop's lag while the block runs; tell ``admission`` of it."""
    lag = LoopLag(admission)
    LOOP_LAG_P95.set_function(lambda: lag.p95)
    task = asyncio.create_task(lag.run())
    try:
        yield lag
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
