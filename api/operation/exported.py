"""What the API publishes beside requests: its queues, the model, workers, nightlies, erasures.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows, one unit a name.
What nobody knows now is left out, because unknown is not zero.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Iterator
from datetime import datetime
from typing import Any

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from psycopg_pool import PoolTimeout

from api.operation.lag import lags
from api.operation.runs import latest_runs, record_of
from api.services import Services
from contracts.workers import CORE_FOLDS

log = logging.getLogger(__name__)

#: Longest time for one part (seconds). Prometheus gives up after ten: a part that takes longer is
#: left out, so that it gets the others.
_PATIENCE = 2.0
_RATIO = re.compile(r"(?:situations_)?(?P<slice>.+)_(?P<metric>hr|ndcg)@(?P<k>\d+)")
_JUDGED = re.compile(r"(?:situations_)?(?P<slice>.+)_events")
_ERASURES = """
    select count(*), extract(epoch from min(requested_at)) from erasures_v1 where state <> 'done'
"""


def _gauge(name: str, text: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, text, value=value)


def process_metrics(services: Services) -> Iterator[Metric]:
    """Yield the queue to the broker, lost impressions, streams, dependencies."""
    log = services.log
    yield from _gauge(
        "segue_producer_queue_messages", "Messages waiting for the broker.", log.queued
    )
    yield from _gauge(
        "segue_producer_queue_bytes", "Bytes waiting for the broker.", log.in_flight_bytes
    )
    yield CounterMetricFamily(
        "segue_producer_refused", "Requests refused because the queue was full.", value=log.refused
    )
    yield CounterMetricFamily(
        "segue_impressions_lost", "Impressions not logged.", value=services.impressions.lost
    )
    yield from _gauge("segue_event_streams", "Readers of live events.", services.events.count)
    up = GaugeMetricFamily(
        "segue_dependency_up", "1: the dependency answered the last look.", labels=["dependency"]
    )
    for name, state in services.watcher.state.items():
        up.add_metric([name], state == "ok")
    yield up
    yield from services.freshness.collect()


def pool_metrics(services: Services) -> Iterator[Metric]:
    """Yield what the pools of connections to PostgreSQL count."""
    counters = {
        "requests_num": ("requests", "Connections asked for.", 1),
        "requests_errors": ("failed_requests", "Connections that could not be had.", 1),
        "requests_wait_ms": ("wait_seconds", "Time that requests waited.", 1000),
        "usage_ms": ("usage_seconds", "Time that connections were used.", 1000),
    }
    gauges = {
        "pool_size": ("connections", "Connections that are open.", 1),
        "pool_available": ("idle_connections", "Connections that are open and not used.", 1),
        "requests_waiting": ("waiting_requests", "Requests that wait for a connection.", 1),
    }
    pools = {"reading": services.pool.get_stats(), "accounts": services.account_pool.get_stats()}
    for family, figures in ((CounterMetricFamily, counters), (GaugeMetricFamily, gauges)):
        for key, (name, text, unit) in figures.items():
            made = family(f"segue_postgres_{name}", text, labels=["pool"])
            for pool, stats in pools.items():
                made.add_metric([pool], stats.get(key, 0) / unit)
            yield made


def model_metrics(services: Services) -> Iterator[Metric]:
    """Yield the model in service, and its quality as the learner judges it."""
    model = services.model
    yield from _gauge("segue_model_generation", "Generation of the model.", model.generation)
    yield CounterMetricFamily(
        "segue_model_plays", "Plays the model has learned.", value=model.plays_learned
    )
    yield from quality_metrics(services.workers.quality())


def quality_metrics(figures: dict[str, float]) -> list[Metric]:
    """Sort the figures of a health report (:mod:`online_model.health`) by their units.

    Examples
    --------
    >>> [m.name for m in quality_metrics({"all_hr@10": 0.3})]
    ['segue_model_hit_ratio']
    """
    ratios = {
        "hr": GaugeMetricFamily(
            "segue_model_hit_ratio",
            "Share of judged plays whose track was among the best k.",
            labels=["slice", "k"],
        ),
        "ndcg": GaugeMetricFamily(
            "segue_model_ndcg_ratio",
            "NDCG of judged plays: 1 if each track was first.",
            labels=["slice", "k"],
        ),
    }
    judged = GaugeMetricFamily(
        "segue_model_judged_plays", "Plays that the ratios are means of.", labels=["slice"]
    )
    counts = CounterMetricFamily("segue_model_events", "What the learner counted.", labels=["kind"])
    single = {
        "proposed": ("segue_model_proposed_ratio", "Share of judged plays proposed at all."),
        "coverage@10": ("segue_model_coverage_ratio", "Share of tracks among some ten best."),
        "novelty@10": ("segue_model_novelty_bits", "Mean surprise of the ten best."),
        "drift_found": ("segue_model_drift_detected", "1: the hit ratio has changed lately."),
        "counters_clock": (
            "segue_model_last_play_timestamp_seconds",
            "Time of the newest play learned.",
        ),
    }
    found: list[Metric] = []
    for name, value in figures.items():
        if ratio := _RATIO.fullmatch(name):
            ratios[ratio["metric"]].add_metric([ratio["slice"], ratio["k"]], value)
        elif of := _JUDGED.fullmatch(name):
            judged.add_metric([of["slice"]], value)
        elif name in single:
            found.append(GaugeMetricFamily(*single[name], value=value))
        elif name.startswith("counters_"):
            counts.add_metric([name.removeprefix("counters_")], value)
    return [family for family in (*ratios.values(), judged, counts) if family.samples] + found


async def collect(services: Services) -> list[Metric]:
    """Return everything; a part that takes more than two seconds is left out."""
    asked = await asyncio.gather(
        _in_time(_workers(services)),
        _in_time(_nights(services)),
        _in_time(_erasures(services)),
        _in_time(_flink(services)),
    )
    known = (
        *process_metrics(services), *pool_metrics(services), *model_metrics(services),
    )  # fmt: skip
    return [*known, *(metric for part in asked for metric in part)]


async def _in_time(part: Awaitable[list[Metric]]) -> list[Metric]:
    try:
        return await asyncio.wait_for(part, _PATIENCE)
    except (TimeoutError, OSError, psycopg.Error, PoolTimeout):
        return []
    except Exception as error:  # one bad record must not cost the others
        log.warning("/metrics lacks one group of metrics because of an error: %r", error)
        return []


async def _workers(services: Services) -> list[Metric]:
    lag = GaugeMetricFamily(
        "segue_worker_lag_messages",
        "Messages a worker has still to apply.",
        labels=["worker", "topic", "partition"],
    )
    late = GaugeMetricFamily(
        "segue_worker_lag_seconds",
        "Time that the next message has waited for a worker, as far as this process knows.",
        labels=["worker", "topic", "partition"],
    )
    heard = GaugeMetricFamily(
        "segue_worker_last_report_timestamp_seconds",
        "When a worker reported last.",
        labels=["worker"],
    )
    for name, beat in services.workers.beats.items():
        heard.add_metric([name], beat.at / 1000)
    found = await services.ends.known()
    for name in CORE_FOLDS:
        for row in lags(services, name, found):
            place = [name, row.topic, str(row.partition)]
            if row.lag is not None:
                lag.add_metric(place, row.lag)
            if row.lag_seconds is not None:
                late.add_metric(place, row.lag_seconds)
    return [heard, lag, late]


async def _nights(services: Services) -> list[Metric]:
    folder = services.settings.paths.runs
    runs = await asyncio.to_thread(latest_runs, folder)
    good = next((run.finished_at for run in runs if run.status == "ok" and run.finished_at), None)
    if not runs:
        return []
    newest = await asyncio.to_thread(record_of, folder, runs[0].id)
    found = list(_newest_night(newest or {}))
    if good is not None:
        found += _gauge(
            "segue_nightly_last_success_timestamp_seconds",
            "End of the last nightly that succeeded.",
            datetime.fromisoformat(good).timestamp(),
        )
    return found


def _newest_night(record: dict[str, Any]) -> Iterator[Metric]:
    """Yield the times of the newest nightly's steps and the points of its tables."""
    seconds = GaugeMetricFamily(
        "segue_nightly_step_seconds", "Time of each step of the newest nightly.", labels=["step"]
    )
    for step in record.get("steps", []):
        if step.get("seconds") is not None:
            seconds.add_metric([step["name"]], step["seconds"])
    points = GaugeMetricFamily(
        "segue_quality_points",
        "Points of each table in the newest nightly, 0 to 100; below 95 it stops.",
        labels=["table"],
    )
    for table, value in record.get("points", {}).items():
        points.add_metric([table], value)
    yield from (family for family in (seconds, points) if family.samples)


async def _erasures(services: Services) -> list[Metric]:
    async with services.account_pool.connection() as connection:
        row = await (await connection.execute(_ERASURES)).fetchone()
    if row is None:
        return []
    return [
        *_gauge("segue_erasures_open", "Erasures that are not done.", row[0]),
        *_gauge(
            "segue_erasure_oldest_timestamp_seconds",
            "When the oldest open erasure was asked for.",
            row[1],
        ),
    ]


async def _flink(services: Services) -> list[Metric]:
    figures = await services.flink.measure()
    return [
        GaugeMetricFamily(f"segue_flink_{name}", "The jobs by event time.", value=value)
        for name, value in figures.items()
    ]
