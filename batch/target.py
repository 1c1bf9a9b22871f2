"""The warehouses a nightly can build, behind one set of calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from batch import snowflake_warehouse, warehouse
from batch.ask import Ask
from batch.dbt_runner import Build, Node
from batch.lake import Snapshot
from contracts.settings import Settings


class Target(Protocol):
    """What a warehouse does for a nightly; errors as :mod:`batch.warehouse` documents them."""

    def land(self, settings: Settings, snapshots: Mapping[str, Snapshot | None]) -> None:
        """Make ``raw`` show what landed."""

    def asking(self, settings: Settings) -> AbstractContextManager[Ask]:
        """Open it for questions in DuckDB's SQL."""

    def count(self, settings: Settings, table: str) -> int:
        """Return the rows of a table."""

    def folder(self, settings: Settings) -> Path:
        """Return where dbt keeps its artifacts."""

    def build(
        self,
        settings: Settings,
        *,
        full_refresh: bool = False,
        select: str | None = None,
        progress: Callable[[Node], None] | None = None,
    ) -> Build:
        """Build models and run their tests."""


TARGETS: dict[str, Target] = {"duckdb": warehouse, "snowflake": snowflake_warehouse}
