"""What Prometheus reads at /metrics: one registry for the process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters and latencies of the HTTP API."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "segue_http_requests_total",
            "Answers by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "segue_http_request_seconds",
            "Time from request to answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._accepted = Counter(
            "segue_plays_accepted_total",
            "Plays acknowledged by the broker.",
            ["route"],
            registry=self.registry,
        )
        self._rejected = Counter(
            "segue_plays_rejected_total",
            "Plays refused, by reason.",
            ["route", "reason"],
            registry=self.registry,
        )
        self._degraded = Counter(
            "segue_degraded_answers_total",
            "Recommendations made with a dependency missing, by which.",
            ["missing"],
            registry=self.registry,
        )
        # Looking a labelled child up takes a lock and a tuple; the hot path keeps them at hand.
        self._request = lru_cache(4096)(self._requests.labels)
        self._timer = lru_cache(512)(self._seconds.labels)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._request(route, method, str(status)).inc()
        self._timer(route).observe(seconds)

    def accepted(self, route: str, plays: int) -> None:
        """Count plays that are in the log."""
        if plays:
            self._accepted.labels(route).inc(plays)

    def rejected(self, route: str, reason: str, plays: int = 1) -> None:
        """Count plays that were refused."""
        self._rejected.labels(route, reason).inc(plays)

    def degraded(self, missing: str) -> None:
        """Count an answer that had to do without something."""
        self._degraded.labels(missing).inc()

    def watch(self, name: str, text: str, read: Any) -> None:
        """Publish a number that is read when Prometheus asks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)
