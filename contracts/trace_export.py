"""Spans of this process, sent to an OpenTelemetry collector by OTLP over HTTP.

A thread sends them in batches. While the collector is away, at most :data:`MOST_WAITING` spans
wait; further ones are dropped and counted. Nothing in the process waits for the collector.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from contracts.settings import Settings
from contracts.tracing import BEGIN, Context, Sampler

#: Spans that wait for the collector at most.
MOST_WAITING = 2048
#: Spans in one request to the collector, and the time (seconds) after which fewer are sent.
_BATCH, _EVERY = 512, 1.0
#: Longest time for one request to the collector, with all its attempts (seconds).
_PATIENCE = 2.0

Value = str | int | float | bool | Sequence[str]


class Span:
    """A span in progress.

    Attributes
    ----------
    context
        What others name as its parent.
    """

    __slots__ = ("_span", "context")

    def __init__(self, span: OtelSpan) -> None:
        found = span.get_span_context()
        self._span = span
        self.context = Context(found.trace_id, found.span_id, sampled=True)

    def rename(self, name: str) -> None:
        """Give it the name that is known only now."""
        self._span.update_name(name)

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""
        self._span.set_attributes(attributes)

    def link(self, context: Context, attributes: Mapping[str, Value]) -> None:
        """Name a span of another trace that this one has to do with."""
        self._span.add_link(_remote(context), attributes)

    def fail(self, text: str) -> None:
        """Mark it as failed."""
        self._span.set_status(Status(StatusCode.ERROR, text))

    def end(self) -> None:
        """End it; it is sent soon."""
        self._span.end()


class Traces:
    """Makes the spans of one process.

    Parameters
    ----------
    service
        The worker's name.
    count
        Called with ``exported`` or ``dropped`` and a number of spans, from any thread.
    """

    def __init__(self, settings: Settings, service: str, count: Callable[[str, int], None]) -> None:
        self.sampler = Sampler(settings.traces_share, settings.traces_per_second)
        resource = Resource.create(
            {
                "service.namespace": settings.namespace,
                "service.name": service,
                "service.version": version("segue"),
                "service.instance.id": f"{settings.host_name}/{os.getpid()}",
            }
        )
        self._exporter = _Counting(
            OTLPSpanExporter(endpoint=settings.traces_url, timeout=_PATIENCE), count
        )
        # The API has decided already: every span that is made is recorded.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False
        )
        self._provider.add_span_processor(_Bounded(self._exporter))
        self._tracer = self._provider.get_tracer("segue")

    def request(self, headers: Sequence[tuple[bytes, bytes]]) -> Span | None:
        """Begin the span of a request, if it is traced; its name comes later.

        Parameters
        ----------
        headers
            Of the request, names in lower case.
        """
        parent = self.sampler.parent(headers)
        if parent is None:
            return None
        context = None if parent is BEGIN else set_span_in_context(_span_of(parent))
        return Span(self._tracer.start_span("request", context, kind=SpanKind.SERVER))

    def fold(
        self, topic: str, contexts: Sequence[Context], messages: int, last: Mapping[int, int]
    ) -> Span | None:
        """Begin the span of a fold of messages; ``None`` if no request of theirs is traced.

        The first traced message is its parent; it links to the others, whose traces are different.

        Parameters
        ----------
        contexts
            Of the traced messages, in log order.
        messages
            How many are folded together.
        last
            ``partition -> offset`` of the last of them.
        """
        if not contexts:
            return None
        parent, *others = contexts
        span = self._tracer.start_span(
            f"process {topic}",
            set_span_in_context(_span_of(parent)),
            kind=SpanKind.CONSUMER,
            links=[Link(_remote(context)) for context in others],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.batch.message_count": messages,
                "segue.traced_messages": len(contexts),
                "segue.offsets": [f"{partition}:{offset}" for partition, offset in last.items()],
            },
        )
        return Span(span)

    def close(self) -> None:
        """Send what waits, unless the collector does not answer: then drop it."""
        self._exporter.closing = True
        self._provider.shutdown()


class _Counting(SpanExporter):
    """Counts what another exporter sends, and what it fails to send."""

    def __init__(self, exporter: SpanExporter, count: Callable[[str, int], None]) -> None:
        self._exporter = exporter
        self._count = count
        self._lock = threading.Lock()
        self._waiting = 0
        self._failed = False
        self.closing = False

    def admit(self) -> bool:
        """Return whether one more span may wait; count it as dropped otherwise."""
        with self._lock:
            full = self._waiting >= MOST_WAITING
            if not full:
                self._waiting += 1
        if full:
            self._count("dropped", 1)
        return not full

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; called by the thread of the processor."""
        hopeless = self.closing and self._failed
        result = SpanExportResult.FAILURE if hopeless else self._exporter.export(spans)
        self._failed = result is not SpanExportResult.SUCCESS
        with self._lock:
            self._waiting -= len(spans)
        self._count("dropped" if self._failed else "exported", len(spans))
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


class _Bounded(BatchSpanProcessor):
    """The library's batches, with a bound that counts what it drops."""

    def __init__(self, exporter: _Counting) -> None:
        super().__init__(
            exporter,
            max_queue_size=2 * MOST_WAITING,  # ours is reached first
            schedule_delay_millis=1000 * _EVERY,
            max_export_batch_size=_BATCH,
        )
        self._bound = exporter

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, or drop it."""
        if self._bound.admit():
            super().on_end(span)


def _remote(context: Context) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)


def _span_of(context: Context) -> OtelSpan:
    return NonRecordingSpan(_remote(context))
