"""Finds the SQL texts in the source: string constants that begin like a statement.

Parts of an f-string that the module itself knows (its constants and functions) are filled in; a
part that only exists while the program runs becomes :data:`HOLE`.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("api", "streams", "batch", "infra", "contracts", "web")
#: Replaces a part of a text that is not known before the program runs.
HOLE = "a_hole"

_STATEMENT = re.compile(
    r"\s*(with (recursive )?\w+ as\b"
    r"|select\s(?!a |the |an )"
    r"|insert (or \w+ )?into\b|update \S+( as \w+| \w)? set\b|delete from\b|copy \S+ |lock table\b"
    r"|refresh materialized view\b|create (temp |or replace )?(table|view|function)\b)"
)
#: A text that ends so is completed where it is used.
_OPEN_END = re.compile(r"\b(where|and|or|set|from|into)\s*$")
_FIELD = re.compile(r"\{\w*\}")


class Text(NamedTuple):
    """A text and where it begins."""

    file: str
    line: int
    sql: str


def texts(root: Path = ROOT) -> Iterator[Text]:
    """Yield every SQL text of the source."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            yield from texts_of(path, root)


def texts_of(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """Yield the SQL texts of one file; it is imported only if one of them is an f-string."""
    tree = ast.parse(path.read_text())
    file = str(path.relative_to(root))
    skipped = _docstrings(tree)
    namespace: dict[str, Any] | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in ast.walk(node) if part is not node)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = node.value
        elif isinstance(node, ast.JoinedStr) and _STATEMENT.match(_joined(node, {})):
            if namespace is None:
                module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
                namespace = vars(module)
            found = _joined(node, namespace)
        else:
            continue
        if _STATEMENT.match(found):
            whole = _OPEN_END.sub(rf"\1 {HOLE}", _FIELD.sub(HOLE, found))
            yield Text(file, node.lineno, whole)


def _joined(node: ast.JoinedStr, namespace: dict[str, Any]) -> str:
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        else:
            assert isinstance(part, ast.FormattedValue)
            try:
                code = compile(ast.Expression(part.value), "<sql>", "eval")
                names = {"__builtins__": {}, **namespace}
                parts.append(str(eval(code, names)))
            except Exception:  # something that it needs is not there yet
                parts.append(HOLE)
    return "".join(parts)


def _docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
