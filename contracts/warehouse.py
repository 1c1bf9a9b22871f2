"""Description of the warehouse's tables, which the nightly publishes beside the reports.

``<home>/figures/warehouse.json`` holds the last build's tables with their SQL, columns and tests,
and which reports and figures are drawn from them. The API answers lineage and quality from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

NodeKind = Literal["source", "model", "snapshot", "report", "figure"]
_TABLE = re.compile(r"\b(?:raw|staging|intermediate|marts)\.\w+")


class Column(msgspec.Struct):
    """A column; ``type`` is empty if no dbt contract of the table fixes it."""

    name: str
    type: str = ""
    description: str = ""


class TableTest(msgspec.Struct):
    """One test of a table in the last build.

    ``status`` is ``pass``, ``warn``, ``fail``, ``error`` or ``skipped``; ``column`` is empty for a
    test of the whole table.
    """

    name: str
    status: str
    column: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the test passed, possibly with a warning.

        Examples
        --------
        >>> TableTest("unique", "warn").ok, TableTest("unique", "skipped").ok
        (True, False)
        """
        return self.status in ("pass", "warn", "success")


class Node(msgspec.Struct, kw_only=True):
    """A table, a report or a figure.

    Attributes
    ----------
    name
        ``schema.table``, ``report:<name>`` or ``figure:<name>``.
    sql
        The statement, as dbt compiled it or as the nightly runs it; empty for a source.
    inputs
        Names of the nodes it is made from.
    status
        Of the last build: ``ok``, ``error``, ``skipped``; empty for a source.
    seconds
        Duration of its last build.
    """

    name: str
    kind: NodeKind
    title: str = ""
    description: str = ""
    sql: str = ""
    inputs: list[str] = []
    columns: list[Column] = []
    tests: list[TableTest] = []
    status: str = ""
    rows: int | None = None
    seconds: float | None = None
    finished_at: str | None = None


class Warehouse(msgspec.Struct, kw_only=True):
    """The warehouse after the last build.

    Examples
    --------
    >>> found = Warehouse(run="2026-01-31-duckdb-1", target="duckdb",
    ...     built_at="2026-01-31T02:00:00Z", lake_version=7, nodes=[
    ...         Node(name="raw.plays", kind="source"),
    ...         Node(name="marts.fct_plays", kind="table", inputs=["raw.plays"])])
    >>> upstream(found.by_name(), ["marts.fct_plays"])
    ['raw.plays', 'marts.fct_plays']
    """

    run: str
    target: str
    built_at: str
    lake_version: int | None
    nodes: list[Node]

    def by_name(self) -> dict[str, Node]:
        """Return the nodes by name."""
        return {node.name: node for node in self.nodes}


def tables_in(sql: str) -> list[str]:
    """Return the warehouse's tables that a statement names, each once.

    Examples
    --------
    >>> tables_in("select 1 from marts.a join raw.b on true join marts.a on true")
    ['marts.a', 'raw.b']
    """
    return list(dict.fromkeys(_TABLE.findall(sql)))


def upstream(nodes: dict[str, Node], names: Iterable[str]) -> list[str]:
    """Return the named nodes and all nodes they are built from, inputs before outputs."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen or name not in nodes:
            return
        seen.add(name)
        for parent in nodes[name].inputs:
            visit(parent)
        order.append(name)

    for name in names:
        visit(name)
    return order


def downstream(nodes: dict[str, Node], name: str) -> list[str]:
    """Return all nodes that are built from a node, nearest first, without the node itself.

    Examples
    --------
    >>> nodes = [Node(name="raw.plays", kind="source"),
    ...          Node(name="marts.fct_plays", kind="model", inputs=["raw.plays"]),
    ...          Node(name="report:top-artists", kind="report", inputs=["marts.fct_plays"])]
    >>> downstream({node.name: node for node in nodes}, "raw.plays")
    ['marts.fct_plays', 'report:top-artists']
    """
    found: list[str] = []
    waiting = [name]
    while waiting:
        parent = waiting.pop(0)
        for node in nodes.values():
            if parent in node.inputs and node.name not in found:
                found.append(node.name)
                waiting.append(node.name)
    return found
