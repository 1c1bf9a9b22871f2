"""The tables, views and functions that migrations leave behind, worked out without a server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp

logging.getLogger("sqlglot").setLevel(logging.ERROR)
_FUNCTION = re.compile(r"create (?:or replace )?function (\w+)", re.IGNORECASE)


@dataclass
class Schema:
    """What exists.

    Attributes
    ----------
    tables, views
        Name -> columns, in order.
    functions
        Names.
    """

    tables: dict[str, list[str]] = field(default_factory=dict)
    views: dict[str, list[str]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)

    def columns(self, name: str) -> list[str] | None:
        """Return the columns of a table or view, ``None`` for one that does not exist."""
        return self.tables.get(name, self.views.get(name))

    def apply(self, text: str) -> None:
        """Run the statements of a migration that make or change tables, views and functions."""
        self.functions.update(_FUNCTION.findall(text))
        for statement in sqlglot.parse(text, dialect="postgres"):
            if isinstance(statement, exp.Create):
                self._create(statement)
            elif isinstance(statement, exp.Alter):
                self._alter(statement)
            elif isinstance(statement, exp.Drop):
                self._drop(statement)

    def _create(self, made: exp.Create) -> None:
        if made.kind == "VIEW":
            query = made.expression
            listed = made.this.expressions if isinstance(made.this, exp.Schema) else []
            self.views[_name(made)] = [c.name for c in listed] or query.named_selects
        elif made.kind == "TABLE":
            columns: list[str] = []
            for part in made.this.expressions:
                if isinstance(part, exp.ColumnDef):
                    columns.append(part.name)
                elif isinstance(part, exp.LikeProperty):
                    columns += self.tables[part.this.name]
            self.tables[_name(made)] = columns

    def _alter(self, change: exp.Alter) -> None:
        if change.args.get("kind") != "TABLE":
            return
        table = change.this.name
        columns = self.tables[table]
        for action in change.args["actions"]:
            if isinstance(action, exp.ColumnDef):
                columns.append(action.name)
            elif isinstance(action, exp.RenameColumn):
                columns[columns.index(action.this.name)] = action.args["to"].name
            elif isinstance(action, exp.AlterRename):
                self.tables[action.this.name] = self.tables.pop(table)
            elif isinstance(action, exp.Drop) and action.args.get("kind") == "COLUMN":
                columns.remove(action.this.name)

    def _drop(self, drop: exp.Drop) -> None:
        dropped = drop.find(exp.Table)
        for kept in (self.tables, self.views):
            kept.pop(dropped.name if dropped else "", None)


def replay(migrations: Iterable[str]) -> Schema:
    """Return what these migrations leave behind, in the order given."""
    schema = Schema()
    for text in migrations:
        schema.apply(text)
    return schema


def _name(made: exp.Create) -> str:
    return str(made.find(exp.Table).name)  # type: ignore[union-attr]
