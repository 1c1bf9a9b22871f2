"""An OpenTelemetry collector of tests: takes spans by OTLP over HTTP and keeps them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


class TakenSpan(NamedTuple):
    """A span as the collector got it; ids are hexadecimal, ``links`` holds ``(trace, span)``."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    attributes: dict[str, Any]
    links: list[tuple[str, str, dict[str, Any]]]
    resource: dict[str, Any]


class Collector:
    """Runs from its making to :meth:`close`.

    Attributes
    ----------
    url
        For ``SEGUE_TRACES_URL``.
    bodies
        Of the requests, as they came.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector._lock:
                    collector.bodies.append(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self, trace: str = "") -> list[TakenSpan]:
        """Return the spans so far, of one trace or of all."""
        with self._lock:
            bodies = list(self.bodies)
        found = [
            TakenSpan(
                resource["service.name"],
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                _values(span.attributes),
                [(e.trace_id.hex(), e.span_id.hex(), _values(e.attributes)) for e in span.links],
                resource,
            )
            for body in bodies
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for resource in [_values(group.resource.attributes)]
            for scope in group.scope_spans
            for span in scope.spans
        ]
        return [each for each in found if trace in ("", each.trace)]

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
