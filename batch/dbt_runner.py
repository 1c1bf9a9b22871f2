"""Runs dbt inside this process and returns the result of every node.

In process, not as a child: measured on a small lake, a second build in one process saves the
three seconds a new one spends importing dbt, and a killed build cannot leave a child that
continues to write to the warehouse.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from contracts.errors import ConfigurationError

PROJECT = Path(__file__).parent / "dbt"


class Node(msgspec.Struct, kw_only=True, frozen=True):
    """What became of one dbt node (model, test, unit test).

    Attributes
    ----------
    status
        ``success``, ``pass``, ``warn``, ``fail``, ``error`` or ``skipped``.
    rows
        Failing rows of a test; of a model what the adapter reports, if it does.
    """

    name: str
    kind: str
    status: str
    seconds: float
    rows: int | None = None
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return self.status in {"success", "pass", "warn", "no-op"}


class Build(msgspec.Struct, kw_only=True, frozen=True):
    """Result of one ``dbt build``."""

    ok: bool
    seconds: float
    nodes: list[Node]

    @property
    def failed(self) -> list[Node]:
        """The nodes that failed themselves (not those skipped because of them)."""
        return [node for node in self.nodes if not node.ok and node.status != "skipped"]


def run(
    arguments: list[str],
    folder: Path,
    environ: Mapping[str, str],
    progress: Callable[[Node], None] | None = None,
) -> Build:
    """Run one dbt command over the project.

    Parameters
    ----------
    arguments
        Such as ``["build", "--full-refresh"]``.
    folder
        Where dbt keeps its parsed project, artifacts and log.
    environ
        What ``dbt/profiles.yml`` reads.

    Raises
    ------
    ConfigurationError
        dbt could not run at all: the project or the profile cannot be read.
    """
    # dbt takes 2 s to import: only builders pay for it.
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    def heard(event: Any) -> None:
        if progress and event.info.name == "NodeFinished":
            progress(_event_node(event.data))

    options = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    options += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    options += ["--log-level", "none", "--no-use-colors", "--no-send-anonymous-usage-stats"]
    with _environment(environ):
        try:
            outcome = dbtRunner(callbacks=[heard]).invoke([*arguments, *options])
        finally:
            _release()
            reset_adapters()  # type: ignore[no-untyped-call]
    if outcome.exception is not None:
        raise ConfigurationError(f"dbt {arguments[0]}: {outcome.exception}")
    results: Any = outcome.result
    return Build(
        ok=bool(outcome.success),
        seconds=round(results.elapsed_time, 3),
        nodes=[_result_node(result) for result in results.results],
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _release() -> None:
    """Close the connection dbt-duckdb keeps for the process, which holds the file lock."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _event_node(data: Any) -> Node:
    info = data.node_info
    return Node(
        name=info.node_name,
        kind=info.resource_type,
        status=str(data.run_result.status),
        seconds=round(data.run_result.execution_time, 3),
    )


def _result_node(result: Any) -> Node:
    response = result.adapter_response or {}
    rows = result.failures if result.failures is not None else response.get("rows_affected")
    return Node(
        name=result.node.name,
        kind=str(result.node.resource_type),
        status=str(result.status),
        seconds=round(result.execution_time, 3),
        rows=None if rows is None or rows < 0 else int(rows),
        message=(result.message or "").strip() if str(result.status) != "success" else "",
    )
