"""No test relies on the timeout of five seconds that httpx has: a slow machine needs longer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Calls that open a connection; a client of a transport in the same process opens none.
_CALLS = {
    "get", "post", "put", "patch", "delete", "head", "options", "request", "stream",
    "Client", "AsyncClient",
}  # fmt: skip


def without_timeout(source: str) -> list[int]:
    """Return the lines with calls of httpx that set neither ``timeout`` nor ``transport``."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr in _CALLS) == ("httpx", True)
        and not {"timeout", "transport"} & {keyword.arg for keyword in node.keywords}
    ]


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("httpx.get(url)", [1]),
        ("httpx.Client(base_url=url, headers={})", [1]),
        ("httpx.get(url, timeout=60)", []),
        ("httpx.AsyncClient(transport=local)", []),
        ("client.get(url)", []),
        ("httpx.Timeout(5)", []),
    ],
)
def test_a_call_without_timeout_is_found(call: str, found: list[int]) -> None:
    assert without_timeout(call) == found


def test_every_test_says_how_long_it_waits() -> None:
    found = [
        f"{path.relative_to(HERE)}:{line}"
        for path in sorted(HERE.rglob("*.py"))
        if "httpx" in (source := path.read_text(encoding="utf-8"))
        for line in without_timeout(source)
    ]
    assert found == [], "add timeout=60"
