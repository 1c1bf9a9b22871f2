"""The reference of the command line, generated from the Typer application."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperGroup

from infra.cli.main import cli

_HEAD = """\
# Command line

Every command with its arguments and options, generated from the code.
[Commands](../docs/commands.md) groups them by purpose.
"""


def render() -> str:
    """Return the page as Markdown."""
    root = typer.main.get_command(cli)
    return _HEAD + "".join(_sections(root, "segue", 2))


def _sections(command: Any, name: str, level: int) -> Iterator[str]:
    if level > 2:
        yield f"\n{'#' * (level - 1)} `{name}`\n\n{_text(command.help)}\n"
        yield _table(command)
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from _sections(inner, f"{name} {each}", level + 1)


def _table(command: Any) -> str:
    context = typer.Context(command)
    records = [each.get_help_record(context) for each in command.params if each.name != "help"]
    rows = [
        f"| `{_cell(record[0])}` | {_cell(_text(record[1]))} |\n" for record in records if record
    ]
    return "".join(["\n| argument or option | meaning |\n|---|---|\n", *rows]) if rows else ""


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\f", "")


def _cell(text: str) -> str:
    """Keep a text in its cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
