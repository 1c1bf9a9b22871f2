"""What is wrong with one statement: tables and columns that do not exist.

Names are looked up in the statement as a whole and not by scope: a column must belong to one of the
tables that the statement names, or be a name it makes itself. That finds what was renamed or
dropped, and never refuses a statement that PostgreSQL takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.contracts.sql.schema import Schema
from tests.contracts.sql.texts import HOLE

_PARAMETER = re.compile(r"%\(\w+\)s|%s")
_LOCK = re.compile(r"\s*(?:lock table|refresh materialized view(?: concurrently)?) (\w+)")
#: Relations of PostgreSQL itself, and columns every table has.
_SYSTEM = re.compile(r"pg_\w+|information_schema")
_HIDDEN = {"xmax", "xmin", "ctid", "tableoid", "current_date", "current_timestamp"}


def parsed(text: str, dialect: str = "postgres") -> list[exp.Expression]:
    """Return the statements of a text.

    Raises
    ------
    SqlglotError
        It is no SQL.
    """
    if dialect in ("postgres", "snowflake"):
        text = _PARAMETER.sub("null", text).replace("%%", "%")
    found = sqlglot.parse(text, dialect=dialect)
    return [statement for statement in found if isinstance(statement, exp.Expression)]


def relations(text: str) -> set[str]:
    """Return the tables and views a text names, without those it makes itself."""
    if match := _LOCK.match(text):
        return {match[1]}
    statements = parsed(text)
    made = {name for s in statements for name in _made(s)}
    return {
        table.name
        for statement in statements
        for table in statement.find_all(exp.Table)
        if table.name and table.name not in made and not _SYSTEM.fullmatch(table.db or table.name)
    }


def problems(text: str, schema: Schema) -> Iterator[str]:
    """Yield what is wrong with a text of PostgreSQL, a line each."""
    try:
        named = relations(text)
        statements = [] if _LOCK.match(text) else parsed(text)
    except SqlglotError as error:
        yield f"cannot be read: {str(error).splitlines()[0]}"
        return
    for name in sorted(named):
        if schema.columns(name) is None and HOLE not in name:
            yield f"there is no table or view {name}"
    for statement in statements:
        yield from _wrong_columns(statement, schema)


def _wrong_columns(statement: exp.Expression, schema: Schema) -> Iterator[str]:
    known: dict[str, set[str] | None] = {}  # alias -> columns; None: unknown
    for table in statement.find_all(exp.Table):
        columns = schema.columns(table.name)
        _add(known, table.alias_or_name, columns)
        if isinstance(table.find_ancestor(exp.Insert, exp.Select, exp.Update), exp.Insert):
            _add(known, "excluded", columns)
    if not known:
        return  # a piece of a statement, which is checked where it is used
    makes = _names_it_makes(statement)
    unsure = any(columns is None for name, columns in known.items() if name not in makes)
    every = {c for columns in known.values() for c in columns or ()} | makes | _HIDDEN
    for column in statement.find_all(exp.Column):
        owner, name = column.table, column.name
        if HOLE in name or HOLE in owner or isinstance(column.this, exp.Star):
            continue
        of_owner = known.get(owner) if owner not in makes else None
        if owner and of_owner is not None and name not in of_owner | _HIDDEN:
            yield f"{owner}.{name}: there is no such column"
        elif not owner and not unsure and name not in every | set(known):
            yield f"{name}: there is no such column"
    for listed in statement.find_all(exp.Schema):
        if isinstance(listed.this, exp.Table) and not isinstance(listed.parent, exp.Create):
            columns_ = schema.columns(listed.this.name)
            for part in listed.expressions:
                if columns_ is not None and part.name not in columns_ and HOLE not in part.name:
                    yield f"{listed.this.name}({part.name}): there is no such column"


def _add(known: dict[str, set[str] | None], alias: str, columns: list[str] | None) -> None:
    before = known.get(alias, set())
    known[alias] = None if before is None or columns is None else before | set(columns)


def _made(statement: exp.Expression) -> Iterator[str]:
    """Yield the relations a statement makes: CTEs, temporary tables."""
    for cte in statement.find_all(exp.CTE):
        yield cte.alias
    for made in statement.find_all(exp.Create):
        table = made.find(exp.Table)
        if table is not None:
            yield table.name


def _names_it_makes(statement: exp.Expression) -> set[str]:
    """Return names that are no columns of a table: aliases, CTEs, columns of functions."""
    names = set(_made(statement))
    for node in statement.find_all(exp.Alias, exp.Subquery, exp.Lateral, exp.Unnest, exp.Values):
        names.add(node.alias)
    for node in statement.find_all(exp.TableAlias):
        if not isinstance(node.parent, exp.Table) or node.columns:
            names.add(node.name)
        names.update(column.name for column in node.columns)
    if any(f.name.lower().startswith("jsonb_each") for f in statement.find_all(exp.Anonymous)):
        names.update(("key", "value"))
    for node in statement.find_all(exp.ColumnDef, exp.PropertyEQ, exp.Kwarg):
        names.add(node.this.name)
    return names
