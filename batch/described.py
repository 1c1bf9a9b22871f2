"""What the nightly publishes about the warehouse itself: the figures, and where they come from.

Two files under ``<home>/figures``: :class:`contracts.figures.Figures` and
:class:`contracts.warehouse.Warehouse`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from batch.ask import Ask
from batch.lineage import table_of
from batch.reports.report import Report
from batch.runs import NightlyRun
from contracts import figures
from contracts.figures import Day, Figures
from contracts.home import HomePaths
from contracts.warehouse import Column, Node, TableTest, Warehouse, tables_in
from contracts.whole_files import write_whole


class Recording:
    """Asks a question and remembers which tables it names: what a report is drawn from."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.tables: dict[str, None] = {}

    def __call__(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return every row of the answer."""
        self.tables.update(dict.fromkeys(tables_in(sql)))
        return self._ask(sql, parameters)


def publish_figures(ask: Ask, paths: HomePaths, run: NightlyRun, now: str) -> None:
    """Ask for the days of every figure and publish them."""
    days = {
        name: [
            Day(str(day), float(numerator or 0), None if of is None else float(of))
            for day, numerator, of in ask(definition.sql)
        ]
        for name, definition in figures.DEFINITIONS.items()
    }
    found = Figures(generated_at=now, run=run.id, lake_version=run.lake_version, days=days)
    _write(paths.figures_file, found)


def publish_warehouse(
    paths: HomePaths, run: NightlyRun, target: Path, reports: Sequence[tuple[Report, list[str]]]
) -> None:
    """Publish the tables of the last build with reports and figures.

    Parameters
    ----------
    target
        Where dbt keeps its artifacts.
    reports
        Each with the tables it was drawn from; empty after a build that failed: then the reports
        that were published before stay.
    """
    results = json.loads((target / "run_results.json").read_bytes())
    manifest = json.loads((target / "manifest.json").read_bytes())
    nodes = [*_tables(manifest, results, run), *_figures()]
    if reports:
        nodes += [_report(report, tables) for report, tables in reports]
    else:
        nodes += [node for node in _before(paths) if node.kind == "report"]
    found = Warehouse(
        run=run.id,
        target=run.target,
        built_at=results["metadata"]["generated_at"],
        lake_version=run.lake_version,
        nodes=nodes,
    )
    _write(paths.warehouse_document, found)


def _before(paths: HomePaths) -> list[Node]:
    try:
        found = msgspec.json.decode(paths.warehouse_document.read_bytes(), type=Warehouse)
    except (OSError, msgspec.MsgspecError):
        return []
    return found.nodes


def _tables(manifest: dict[str, Any], results: dict[str, Any], run: NightlyRun) -> list[Node]:
    known = manifest["nodes"] | manifest["sources"]
    tests = _tests(manifest, results, known)
    built = {model.table: model for model in run.models}
    rows = next((step.rows for step in run.steps if step.name == "build"), {})
    outcome = {result["unique_id"]: result for result in results["results"]}
    found = []
    for unique, node in known.items():
        kind = node["resource_type"]
        if kind not in ("model", "snapshot", "source"):
            continue
        name = table_of(node)
        model = built.get(name)
        result = outcome.get(unique)
        inputs = [known[parent] for parent in node.get("depends_on", {}).get("nodes", ())
                  if parent in known]  # fmt: skip
        found.append(
            Node(
                name=name,
                kind=kind,
                description=" ".join(node.get("description", "").split()),
                sql=(node.get("compiled_code") or node.get("raw_code") or "").strip(),
                inputs=[table_of(parent) for parent in inputs],
                columns=[
                    Column(
                        column["name"], column.get("data_type") or "",
                        " ".join(column.get("description", "").split()),
                    )
                    for column in node.get("columns", {}).values()
                ],
                tests=tests.get(unique, []),
                status=model.status if model else "",
                rows=rows.get(name.partition(".")[2]),
                seconds=round(result["execution_time"], 3) if result else None,
                finished_at=model.finished_at if model else None,
            )
        )  # fmt: skip
    return found


def _tests(
    manifest: dict[str, Any], results: dict[str, Any], known: dict[str, Any]
) -> dict[str, list[TableTest]]:
    """Return the tests of each table by its unique id; one of several tables is in each."""
    every = manifest["nodes"] | manifest.get("unit_tests", {})
    found: dict[str, list[TableTest]] = {}
    for result in results["results"]:
        node = every.get(result["unique_id"])
        if node is None or node["resource_type"] not in ("test", "unit_test"):
            continue
        message = "" if result["status"] == "pass" else (result.get("message") or "").strip()
        test = TableTest(
            node["name"], str(result["status"]), node.get("column_name") or "", message
        )
        attached = node.get("attached_node")
        parents = [attached] if attached else node.get("depends_on", {}).get("nodes", [])
        for parent in parents:
            if parent in known:
                found.setdefault(parent, []).append(test)
    return found


def _report(report: Report, tables: list[str]) -> Node:
    return Node(
        name=f"report:{report.name}",
        kind="report",
        title=report.title,
        description=report.summary,
        inputs=tables,
        status="ok",
        finished_at=report.generated_at.isoformat(),
    )


def _figures() -> list[Node]:
    return [
        Node(
            name=f"figure:{each.name}",
            kind="figure",
            title=each.title,
            description=each.meaning,
            sql=each.sql,
            inputs=tables_in(each.sql),
            status="ok",
        )
        for each in figures.DEFINITIONS.values()
    ]


def _write(path: Path, document: msgspec.Struct) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(document))
