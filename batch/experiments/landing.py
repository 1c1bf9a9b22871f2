"""The arms of started experiments, from PostgreSQL to the warehouse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from batch.postgres_tables import replace, rows_of, table_of
from contracts.experiments import LIST, Definition
from contracts.settings import Settings

_MS = pa.timestamp("ms", tz="UTC")
#: Table ``raw.experiment_arms``: one row an arm; those of the newest ``landed_at`` count.
EXPERIMENT_ARMS = pa.schema(
    [
        pa.field("experiment", pa.string(), nullable=False),
        pa.field("layer", pa.string(), nullable=False),
        pa.field("hypothesis", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("guardrails", pa.string(), nullable=False),  # names, joined by commas
        pa.field("arm", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),  # 0 is the control
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("started_at", _MS, nullable=False),
        pa.field("planned_end", _MS, nullable=False),
        pa.field("ended_at", _MS),
        pa.field("landed_at", _MS, nullable=False),
    ]
)


def experiment_arms(settings: Settings) -> pa.Table | None:
    """Return the current arms; ``None`` if PostgreSQL does not answer."""
    rows = rows_of(settings, LIST, "the experiments are")
    if rows is None:
        return None
    now = datetime.now(UTC)
    return table_of([arm for row in rows for arm in _arms(row, now)], EXPERIMENT_ARMS)


def land_arms(settings: Settings, connection: duckdb.DuckDBPyConnection) -> int:
    """Replace ``raw.experiment_arms``; return how many arms there are."""
    arms = experiment_arms(settings)
    return 0 if arms is None else replace(connection, "experiment_arms", arms)


def _arms(row: tuple[Any, ...], now: datetime) -> list[tuple[Any, ...]]:
    """Return the rows of one experiment; a draft has none."""
    key, layer, text, _, started, ended = row
    if started is None:
        return []
    made = msgspec.json.decode(text, type=Definition)
    about = (key, layer, made.hypothesis, made.metric, ",".join(made.guardrails))
    times = (started, made.planned_end, ended, now)
    return [(*about, arm.name, at, arm.weight, *times) for at, arm in enumerate(made.arms)]
