"""What Prometheus reads at /metrics: one registry for the process.

Requests are counted in plain dictionaries and turned into samples when Prometheus asks: the
library's own counters cost a lock and a tuple each, several times on every request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from contracts.labels import FELL_BACK

#: Finest around 25 ms, which is what is promised.
_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
_NAMES = [*(str(bucket) for bucket in _BUCKETS), "+Inf"]


#: Dependencies that requests wait for; PostgreSQL's pools count for themselves.
_CALLED = ("kafka", "redis")
#: What a list can lack (:meth:`Metrics.degraded`).
_MISSING = ("features", "model", "stale")


class _Latency:
    """How many answers of one route fell into each bucket, and the sum of their seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * len(_NAMES)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the buckets as Prometheus wants them: each with those below it."""
        return list(zip(_NAMES, map(float, accumulate(self.counts)), strict=True))


class Metrics(Collector):
    """Counters and latencies of the HTTP API."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._latencies: defaultdict[str, _Latency] = defaultdict(_Latency)
        self._accepted: Counter[str] = Counter()
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._degraded: Counter[str] = Counter()
        self._calls = {name: _Latency() for name in _CALLED}
        self._failed_calls = Counter(dict.fromkeys(_CALLED, 0))
        self._fell_back = 0
        self._spans: Counter[str] = Counter(exported=0, dropped=0)
        #: Experiment label of the impression -> lists, sum of their seconds, degraded lists.
        self._arms: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self._more: Iterable[Metric] = ()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        # A series that first appears with its first event hides that event from `rate`.
        self._degraded.update(dict.fromkeys(_MISSING, 0))

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests[route, method, str(status)] += 1
        self._latencies[route].add(seconds)

    def called(self, dependency: str, seconds: float, failed: bool) -> None:
        """Count a call to ``kafka`` (a request's plays) or ``redis`` (the listeners of lists)."""
        self._calls[dependency].add(seconds)
        self._failed_calls[dependency] += failed

    def latency(self, route: str) -> tuple[int, list[int]]:
        """Return how many answers a route gave, and how many fell into each bucket."""
        counts = list(self._latencies[route].counts) if route in self._latencies else []
        return sum(counts), counts

    def accepted(self, route: str, plays: int) -> None:
        """Count plays that are in the log."""
        self._accepted[route] += plays

    def rejected(self, route: str, reason: str) -> None:
        """Count a play (or a whole request) that was refused."""
        self._rejected[route, reason] += 1

    def degraded(self, missing: str) -> None:
        """Count an answer that had to do without something."""
        self._degraded[missing] += 1

    def fell_back(self) -> None:
        """Count a list that an experiment's arm could not have: the usual one was made."""
        self._fell_back += 1

    def spans(self, outcome: str, count: int) -> None:
        """Count spans that the collector took (``exported``), or that were ``dropped``."""
        self._spans[outcome] += count

    def of_arm(self, labels: str, seconds: float, degraded: bool) -> None:
        """Count a list of an experiment and the time it took to make it."""
        counted = self._arms[labels]
        counted[0] += 1
        counted[1] += seconds
        counted[2] += degraded

    def render(self, more: Iterable[Metric] = ()) -> bytes:
        """Return the exposition text, with families that others collected."""
        self._more = more
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted (called by the registry)."""
        requests = CounterMetricFamily(
            "segue_http_requests", "Answers.", labels=["route", "method", "status"]
        )
        for labels, count in self._requests.items():
            requests.add_metric(labels, count)
        yield requests
        seconds = HistogramMetricFamily(
            "segue_http_request_duration_seconds", "Time from request to answer.", labels=["route"]
        )
        for route, latency in self._latencies.items():
            seconds.add_metric([route], latency.buckets(), latency.seconds)
        yield seconds
        yield from self._of_calls()
        accepted = CounterMetricFamily(
            "segue_plays_accepted", "Plays acknowledged by the broker.", labels=["route"]
        )
        for route, count in self._accepted.items():
            accepted.add_metric([route], count)
        yield accepted
        rejected = CounterMetricFamily(
            "segue_plays_rejected", "Plays refused, by reason.", labels=["route", "reason"]
        )
        for labels_, count in self._rejected.items():
            rejected.add_metric(labels_, count)
        yield rejected
        degraded = CounterMetricFamily(
            "segue_degraded_answers", "Lists made with a dependency missing.", labels=["missing"]
        )
        for missing, count in self._degraded.items():
            degraded.add_metric([missing], count)
        yield degraded
        fell_back = CounterMetricFamily(
            "segue_experiment_fallbacks", "Usual lists made because an arm's could not be."
        )
        fell_back.add_metric([], self._fell_back)
        yield fell_back
        spans = CounterMetricFamily(
            "segue_spans", "Spans of traces, by what became of them.", labels=["outcome"]
        )
        for outcome, count in self._spans.items():
            spans.add_metric([outcome], count)
        yield spans
        yield from self._of_arms()
        build = InfoMetricFamily("segue_build", "Version that runs.")
        build.add_metric([], {"version": version("segue")})
        yield build
        yield from self._more

    def _of_calls(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "segue_dependency_call_duration_seconds",
            "Time of a call: until Kafka acknowledged a request's plays, or Redis gave windows.",
            labels=["dependency"],
        )
        failed = CounterMetricFamily(
            "segue_dependency_failed_calls", "Calls that failed.", labels=["dependency"]
        )
        for name, latency in self._calls.items():
            seconds.add_metric([name], latency.buckets(), latency.seconds)
            failed.add_metric([name], self._failed_calls[name])
        yield seconds
        yield failed

    def _of_arms(self) -> Iterator[Metric]:
        seconds = SummaryMetricFamily(
            "segue_experiment_list_seconds",
            "Time from the listener's features to the list, by arm.",
            labels=["experiment", "arm"],
        )
        degraded = CounterMetricFamily(
            "segue_experiment_degraded_lists",
            "Lists of an arm that were made with something missing.",
            labels=["experiment", "arm"],
        )
        totals: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for labels, counted in self._arms.items():
            for experiment, arm in _split(labels):
                total = totals[experiment, arm]
                total[:] = (a + b for a, b in zip(total, counted, strict=True))
        for (experiment, arm), (lists, time, poor) in totals.items():
            seconds.add_metric([experiment, arm], count_value=int(lists), sum_value=time)
            degraded.add_metric([experiment, arm], poor)
        yield seconds
        yield degraded


def _split(labels: str) -> Iterator[list[str]]:
    """Yield experiment and arm of each label; a list that fell back counts for its arm."""
    for one in labels.split(";"):
        experiment, _, arm = one.partition("=")
        yield [experiment, arm.rstrip(FELL_BACK)]


def quantile(counts: list[int], share: float) -> float | None:
    """Return the upper end (ms) of the bucket in which a share of the answers is reached.

    Examples
    --------
    >>> quantile([], 0.5) is None
    True
    """
    wanted, total = share * sum(counts), 0
    for count, edge in zip(counts, [*_BUCKETS, float("inf")], strict=False):
        total += count
        if total >= wanted > 0:
            return None if edge == float("inf") else round(edge * 1000, 3)
    return None
