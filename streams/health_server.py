"""Answers ``/healthz`` and ``/metrics`` of one worker, for Kubernetes and Prometheus."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from contracts.heartbeat import STUCK
from streams.heartbeat import Status

log = logging.getLogger(__name__)
#: Prefixes of the counters of a status that are gauges.
_GAUGES = ("quality_", "batch_view", "content_view")


class StatusCollector(Collector):
    """Turns a worker's status into samples when Prometheus asks."""

    def __init__(self, worker: str, status: Status) -> None:
        self._worker = worker
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield state, offsets and counts; the label ``worker`` is on each."""
        labels = [self._worker]
        build = InfoMetricFamily("segue_build", "Version that runs.")
        build.add_metric([], {"version": version("segue"), "worker": self._worker})
        yield build
        up = GaugeMetricFamily(
            "segue_worker_running",
            "1 while the worker works; 0 while it starts, waits, is stuck or stops.",
            labels=["worker"],
        )
        up.add_metric(labels, self._status.state == "running")
        yield up
        offsets = CounterMetricFamily(
            "segue_worker_offset",
            "Next offset of each partition: everything before it is durable.",
            labels=["worker", "place"],
        )
        for place, offset in dict(self._status.offsets).items():
            offsets.add_metric([*labels, place], offset)
        yield offsets
        counts = CounterMetricFamily(
            "segue_worker_events", "What the worker counted, by kind.", labels=["worker", "kind"]
        )
        values = GaugeMetricFamily(
            "segue_worker_value", "What the worker measured, by name.", labels=["worker", "name"]
        )
        for name, count in dict(self._status.counters).items():
            family = values if name.startswith(_GAUGES) else counts
            family.add_metric([*labels, name], count)
        yield counts
        yield values


class HealthServer:
    """An HTTP server in a thread of its own.

    ``GET /healthz`` answers 200 unless a loop of the worker is stuck: then 503 with the reason. A
    worker that waits for a store is healthy: a restart would not help it.

    Parameters
    ----------
    port
        0: any free port; :attr:`port` is its number.

    Raises
    ------
    OSError
        The port is taken.
    """

    def __init__(self, host: str, port: int, worker: str, status: Status) -> None:
        registry = CollectorRegistry()
        registry.register(StatusCollector(worker, status))
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/healthz":
                    ill = status.state == STUCK
                    text = f"{status.state} {status.detail}".rstrip()
                    self._answer(503 if ill else 200, text.encode())
                elif path == "/metrics":
                    self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                else:
                    self._answer(404, b"There are /healthz and /metrics here.")

            def _answer(self, code: int, body: bytes, kind: str = "text/plain") -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds: they are not logged."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)
