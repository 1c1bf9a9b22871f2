"""From which columns each column of the warehouse's tables is made, read from the compiled SQL.

sqlglot resolves names and stars; what a model does to a value is not judged. A model that sqlglot
cannot read gets no lineage by column; its lineage by table stays.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlglot import exp, parse_one
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from contracts.errors import first_line

log = logging.getLogger(__name__)


#: The rows of a table, from which ``count(*)`` is computed.
ROWS = "*"


class Source(NamedTuple):
    """A column of a table, ``schema.name``; :data:`ROWS` for the table's rows."""

    table: str
    column: str


#: Column -> the columns it is made of; an empty list for a constant or a series of dates.
Columns = dict[str, list[Source]]


def column_lineage(
    statements: Mapping[str, str], known: Mapping[str, Sequence[str]], dialect: str
) -> dict[str, Columns]:
    """Return table -> lineage of its columns.

    Parameters
    ----------
    statements
        Table -> its compiled ``select``, tables that others read first.
    known
        Columns of the tables that no statement makes.
    dialect
        As sqlglot names it: ``duckdb`` or ``snowflake``.
    """
    schema = MappingSchema(dialect=dialect)
    for table, columns in known.items():
        schema.add_table(table, dict.fromkeys(columns, "varchar"))
    found = {}
    for table, sql in statements.items():
        try:
            found[table] = _of(sql, schema, dialect)
        except SqlglotError as error:
            log.warning("no columns in the lineage of %s: %s", table, first_line(error))
            continue
        schema.add_table(table, dict.fromkeys(found[table], "varchar"))
    return found


def _of(sql: str, schema: MappingSchema, dialect: str) -> Columns:
    tree = parse_one(sql, dialect=dialect)
    for table in tree.find_all(exp.Table):
        table.set("catalog", None)  # one database
    whole = qualify(
        tree,
        schema=schema,
        dialect=dialect,
        quote_identifiers=False,
        validate_qualify_columns=False,
    )
    root = build_scope(whole)
    if root is None:
        return {}
    trace = _Trace()
    return {name: sorted(trace.column(root, name)) for name in _names(root)}


def _names(scope: Scope) -> list[str]:
    """Return the output columns of a query; raises OptimizeError if a star hides some."""
    query = scope.expression
    names = list(query.named_selects) if isinstance(query, exp.Query) else []
    if "*" in names:
        raise OptimizeError("it selects * from a table whose columns are unknown")
    return names


class _Trace:
    def __init__(self) -> None:
        self._known: dict[tuple[int, str], set[Source]] = {}

    def column(self, scope: Scope, name: str) -> set[Source]:
        """Return what an output column of a query is made of."""
        key = id(scope), name
        if key not in self._known:
            self._known[key] = set()  # a recursive query asks for itself
            self._known[key] = self._column(scope, name)
        return self._known[key]

    def _column(self, scope: Scope, name: str) -> set[Source]:
        query = scope.expression
        if isinstance(query, exp.SetOperation):
            at = _names(scope).index(name)
            parts = scope.set_operation_scopes
            return set().union(*(self.column(part, _names(part)[at]) for part in parts))
        if not isinstance(query, exp.Query):  # unnest, a series: all that goes in
            return self._inside(scope, query)
        chosen = [each for each in query.selects if each.alias_or_name == name]
        return set().union(*(self._inside(scope, each) for each in chosen))

    def _inside(self, scope: Scope, expression: exp.Expr) -> set[Source]:
        found: set[Source] = set()
        for column in expression.find_all(exp.Column):
            source = _source(scope, column.table)
            if isinstance(source, Scope):
                found |= self.column(source, column.name)
            elif isinstance(source, exp.Table) and source.db:
                found.add(Source(f"{source.db}.{source.name}", column.name))
        if not found and expression.find(exp.Count):
            found |= _rows(scope)
        return found


def _rows(scope: Scope) -> set[Source]:
    """Return the tables whose rows a query is made of."""
    found: set[Source] = set()
    for part in scope.set_operation_scopes:
        found |= _rows(part)
    for _, source in scope.selected_sources.values():
        if isinstance(source, Scope):
            found |= _rows(source)
        elif isinstance(source, exp.Table) and source.db:
            found.add(Source(f"{source.db}.{source.name}", ROWS))
    return found


def _source(scope: Scope, alias: str) -> Scope | exp.Expr | None:
    """Return the table or query an alias names, also inside a subquery of an expression."""
    here: Scope | None = scope
    while here is not None:
        if alias in here.sources:
            return here.sources[alias]
        here = here.parent
    for below in scope.subquery_scopes:
        if (found := _source_below(below, alias)) is not None:
            return found
    return None


def _source_below(scope: Scope, alias: str) -> Scope | exp.Expr | None:
    if alias in scope.sources:
        return scope.sources[alias]
    for below in (*scope.subquery_scopes, *scope.derived_table_scopes, *scope.cte_scopes):
        if (found := _source_below(below, alias)) is not None:
            return found
    return None
