"""GET /v1/lineage and /v1/warehouse/models: what a figure is made from, down to the source."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Response

from api.analytics import published
from api.errors import ApiError
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE
from contracts.warehouse import Node, downstream, upstream

router = APIRouter(prefix="/v1", tags=["analytics"])


class Table(msgspec.Struct):
    """A node of the lineage: a table, a report or a figure, without its SQL and columns."""

    name: str
    kind: str
    title: str
    description: str
    inputs: list[str]
    status: str
    rows: int | None
    seconds: float | None
    finished_at: str | None
    tests: int
    failed: list[str]


class Tables(msgspec.Struct):
    """Every table, report and figure, what each is made from first."""

    run: str
    target: str
    built_at: str
    lake_version: int | None
    tables: list[Table]


class TableWhole(msgspec.Struct):
    """A node whole: SQL, columns, tests, and the names of what it is made from and used for."""

    run: str
    built_at: str
    node: Node
    upstream: list[str]
    downstream: list[str]


@router.get("/warehouse/models", responses=answers(Tables), summary="The warehouse's tables")
async def tables(services: With, caller: Caller) -> Response:
    """List what the last build made, with reports and figures drawn from it."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await published.warehouse(services.settings)
    nodes = found.by_name()
    shown = [_shown(nodes[name]) for name in upstream(nodes, nodes)]
    return json_reply(Tables(found.run, found.target, found.built_at, found.lake_version, shown))


@router.get("/warehouse/models/{name}", responses=answers(TableWhole), summary="One table")
async def table(services: With, caller: Caller, name: str) -> Response:
    """Return a table, a report (`report:NAME`) or a figure (`figure:NAME`) with its SQL."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await published.warehouse(services.settings)
    nodes = found.by_name()
    node = _find(nodes, name)
    above = [other for other in upstream(nodes, [name]) if other != name]
    return json_reply(TableWhole(found.run, found.built_at, node, above, downstream(nodes, name)))


@router.get("/lineage/{name}", responses=answers(Tables), summary="Lineage of a table or figure")
async def lineage(services: With, caller: Caller, name: str) -> Response:
    """Return a node with everything it is made from and everything made from it."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await published.warehouse(services.settings)
    nodes = found.by_name()
    _find(nodes, name)
    names = upstream(nodes, [name])
    below = set(downstream(nodes, name))
    names += [other for other in upstream(nodes, below) if other in below]
    shown = [_shown(nodes[one]) for one in names]
    return json_reply(Tables(found.run, found.target, found.built_at, found.lake_version, shown))


def _find(nodes: dict[str, Node], name: str) -> Node:
    if name not in nodes:
        raise ApiError(404, "unknown-table", f"The warehouse has no table {name!r}.")
    return nodes[name]


def _shown(node: Node) -> Table:
    failed = [test.name for test in node.tests if not test.ok]
    return Table(
        node.name, node.kind, node.title, node.description, node.inputs, node.status, node.rows,
        node.seconds, node.finished_at, len(node.tests), failed,
    )  # fmt: skip
