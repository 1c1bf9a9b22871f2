"""Finds words that our prose avoids: ``python -m tests.prose`` (part of ``make lint``).

It reads Markdown, docstrings, comments, messages, the text of pages and comments of SQL. Code does
not count: fences, code spans, doctests and SQL in strings are removed first. ``prose.toml`` has the
words.
"""

from __future__ import annotations

import ast
import re
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path

from tests.repository import ROOT, files

RULES = ROOT / "tests" / "prose.toml"
# The rules quote what they forbid, as do the pairs of CONTRIBUTING.
_NOT_READ = {Path("tests/test_prose.py"), Path("tests/prose.py")}
# Each migration has a checksum: the text of one that was applied may never change.
_MIGRATIONS = Path("infra/postgres")

_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"<!-- prose: off -->.*?<!-- prose: on -->", re.DOTALL)
_CODE = re.compile(r"``[^`]+``|`[^`\n]+`")
_DOCTEST = re.compile(r"^ *(>>>|\.\.\.) .*$", re.MULTILINE)
_SQL = re.compile(r"\s*(select|insert|with|update|delete|create|alter|copy|merge|drop)\b", re.I)
_TAG = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One phrase to avoid.

    Attributes
    ----------
    path
        Relative to the repository.
    line
        1-based line at which the phrase begins.
    phrase
        As written.
    instead
        What to write.
    """

    path: Path
    line: int
    phrase: str
    instead: str


@cache
def rules() -> dict[str, str]:
    """Return the expressions to avoid with what to write in their place."""
    found: dict[str, str] = tomllib.loads(RULES.read_text())["avoid"]
    return found


@cache
def _expression() -> re.Pattern[str]:
    parts = (f"(?P<r{i}>{rule})" for i, rule in enumerate(rules()))
    return re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)


def _blank(expression: re.Pattern[str], text: str) -> str:
    """Remove what matches, but keep the line breaks, so that line numbers stay right."""
    return expression.sub(lambda match: "\n" * match[0].count("\n"), text)


def _prose_of_python(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if " " in node.value and not _SQL.match(node.value):
            yield node.lineno, _blank(_DOCTEST, node.value)


def prose(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield pieces of prose of a file with the line each begins at.

    Examples
    --------
    >>> list(prose(Path("a.sql"), "select told -- the play\\nfrom plays"))
    [(1, ' the play')]
    """
    if path.suffix == ".md":
        yield 1, _blank(_FENCE, _blank(_QUOTED, source))
    elif path.suffix == ".py":
        yield from _prose_of_python(source)
    elif path.suffix == ".html":
        yield 1, _blank(_TAG, source)
    elif path.suffix in (".sql", ".lua"):
        for number, line in enumerate(source.splitlines(), 1):
            if "--" in line:
                yield number, line.partition("--")[2]


def find(path: Path, source: str) -> Iterator[Finding]:
    """Yield every phrase to avoid in a file.

    Examples
    --------
    >>> [(f.line, f.phrase) for f in find(Path("a.md"), "A fine page.\\nIt was told so.")]
    [(2, 'told')]
    >>> [f.line for f in find(Path("a.md"), "`code` is long.\\nIt was told so.")]
    [2]
    """
    instead = list(rules().values())
    for line, text in prose(path, source):
        words = _blank(_CODE, text)
        for match in _expression().finditer(words):
            number = int((match.lastgroup or "r0")[1:])
            start = line + words[: match.start()].count("\n")
            yield Finding(path, start, match[0], instead[number])


def _is_migration(path: Path) -> bool:
    return path.parent == _MIGRATIONS and path.suffix == ".sql"


def every_finding() -> list[Finding]:
    """Return the findings in all files of the repository, in order."""
    return [
        finding
        for path in files("*.md", "*.py", "*.sql", "*.lua", "*.html")
        if path not in _NOT_READ and not _is_migration(path)
        for finding in find(path, (ROOT / path).read_text())
    ]


def main() -> int:
    """Print every finding; return 1 if there is one."""
    findings = every_finding()
    for each in findings:
        print(f"{each.path}:{each.line}: {each.phrase!r}: write {each.instead}")
    return int(bool(findings))


if __name__ == "__main__":
    raise SystemExit(main())
