"""Writes ``segue.json``, the Grafana dashboard, with Grafana's own builder.

Run by the Python of ``make chart``: ``.venv-chart/bin/python infra/observe/dashboard.py`` prints
the JSON; ``make dashboard`` writes the file.
"""

from __future__ import annotations

from typing import NamedTuple


class Panel(NamedTuple):
    """A graph: ``unit`` as Grafana names it, ``legend`` with labels in double braces."""

    title: str
    unit: str
    query: str
    legend: str
    text: str


ROWS: dict[str, list[Panel]] = {
    "Requests": [
        Panel("Answers a second", "reqps", "segue:http_requests:rate5m", "{{route}}", ""),
        Panel(
            "Answers that are our errors", "percentunit",
            "segue:http_errors:ratio_rate5m", "errors",
            "Without the probes of readiness. The budget is 0.1 %.",
        ),
        Panel(
            "99 % of requests are answered within", "s",
            "segue:http_request_duration_seconds:p99_5m", "{{route}}",
            "The edges of the buckets bound how exact this is.",
        ),
        Panel(
            "Lists made without something", "ops",
            "sum by (missing) (rate(segue_degraded_answers_total[5m]))", "without {{missing}}", "",
        ),
    ],
    "Dependencies": [
        Panel(
            "Calls a second", "ops",
            "sum by (dependency) (rate(segue_dependency_call_duration_seconds_count[5m]))",
            "{{dependency}}", "Kafka: requests with plays. Redis: reads for lists.",
        ),
        Panel(
            "Calls that fail", "percentunit", "segue:dependency_failed_calls:ratio_rate5m",
            "{{dependency}}", "",
        ),
        Panel(
            "99 % of calls take less than", "s",
            "histogram_quantile(0.99, sum by (dependency, le) "
            "(rate(segue_dependency_call_duration_seconds_bucket[5m])))", "{{dependency}}", "",
        ),
        Panel(
            "Requests that wait for a connection to PostgreSQL", "short",
            "sum by (pool) (segue_postgres_waiting_requests)", "{{pool}}", "",
        ),
    ],
    "The log and its followers": [
        Panel(
            "Plays accepted a second", "ops",
            "sum by (route) (rate(segue_plays_accepted_total[5m]))", "{{route}}", "",
        ),
        Panel(
            "Plays refused a second", "ops",
            "sum by (reason) (rate(segue_plays_rejected_total[5m]))", "{{reason}}", "",
        ),
        Panel(
            "Messages behind the end of the log", "short", "segue:worker_lag_messages:sum",
            "{{worker}}", "Nothing is drawn while nobody knows.",
        ),
        Panel(
            "Seconds behind the end of the log", "s",
            "max by (worker) (segue_worker_lag_seconds)", "{{worker}}",
            "How long the next message has waited.",
        ),
        Panel(
            "Seconds since a worker reported", "s",
            "time() - max by (worker) (segue_worker_last_report_timestamp_seconds)",
            "{{worker}}", "",
        ),
        Panel(
            "95 % of plays are in lists within", "s", "segue:play_freshness_seconds:p95_10m",
            "{{part}}", "Of the plays that an API process follows, one in ten seconds.",
        ),
        Panel(
            "Messages set aside in 15 minutes", "short",
            'sum by (worker) (increase(segue_worker_events_total{kind="dead_letters"}[15m]))',
            "{{worker}}", "",
        ),
        Panel(
            "Waiting for the broker", "bytes", "sum(segue_producer_queue_bytes)", "bytes", "",
        ),
    ],
    "The model": [
        Panel(
            "Plays whose track was among the best ten", "percentunit",
            'max by (slice) (segue_model_hit_ratio{k="10",slice=~"all|new|popularity"})',
            "{{slice}}", "popularity: what the most played tracks of all would have hit.",
        ),
        Panel(
            "Plays learned a second", "ops", "max(rate(segue_model_plays_total[5m]))", "plays", "",
        ),
    ],
    "Nights, erasures, processes": [
        Panel(
            "Hours since a nightly succeeded", "h",
            "(time() - max(segue_nightly_last_success_timestamp_seconds)) / 3600", "hours", "",
        ),
        Panel(
            "Time of each step of the newest nightly", "s",
            "max by (step) (segue_nightly_step_seconds)", "{{step}}", "",
        ),
        Panel(
            "Points of tables in the newest nightly", "short",
            "min by (table) (segue_quality_points)", "{{table}}", "Below 95 the nightly stops.",
        ),
        Panel("Erasures that are not done", "short", "max(segue_erasures_open)", "open", ""),
        Panel(
            "Memory", "bytes",
            'process_resident_memory_bytes{job=~"segue.*"}', "{{instance}}", "",
        ),
        Panel(
            "Processor", "percentunit",
            'rate(process_cpu_seconds_total{job=~"segue.*"}[5m])', "{{instance}}",
            "1: a core.",
        ),
    ],
}  # fmt: skip


def build() -> str:
    """Return the dashboard as JSON."""
    from grafana_foundation_sdk.builders import (  # type: ignore[import-not-found]
        dashboard,
        prometheus,
        timeseries,
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # type: ignore[import-not-found]

    drawn = dashboard.Dashboard("Segue").uid("segue").refresh("30s").time("now-6h", "now")
    for title, panels in ROWS.items():
        drawn = drawn.with_row(dashboard.Row(title))
        for panel in panels:
            query = prometheus.Dataquery().expr(panel.query).legend_format(panel.legend)
            graph = timeseries.Panel().title(panel.title).unit(panel.unit).min(0)
            graph = graph.description(panel.text).span(12).height(8)
            drawn = drawn.with_panel(graph.with_target(query))
    text: str = JSONEncoder(sort_keys=True, indent=1).encode(drawn.build())
    return text


if __name__ == "__main__":
    print(build())
