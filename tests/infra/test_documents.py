"""What the documents say of the command line is true, and none of its commands is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from infra.cli.main import COMMANDS, cli
from infra.documents import settings_reference, site
from tests.conftest import ROOT

DOCUMENTS = site.documents(ROOT)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def spoken(text: str) -> Iterator[str]:
    """Yield what follows ``segue`` in code spans, and at the beginning of lines of code."""
    for block in _FENCE.findall(text):
        yield from re.findall(r"^(?:\w+=\S+ )*segue ((?:.|\n +)*)", block, re.MULTILINE)
    yield from re.findall(r"`segue ([^`]+)`", _FENCE.sub("", text))


def named(command: Any, said: str) -> tuple[list[Any], str]:
    """Return the commands that a text names (``list / show`` names two), and the rest of it."""
    if not isinstance(command, TyperGroup):
        return [command], said
    context = typer.Context(command)
    alternatives = re.match(r"[a-z][a-z-]*(?: / [a-z][a-z-]*)*", said)
    if alternatives is None:
        return [command], said
    rest, found = said[alternatives.end() :].strip(), []
    for name in alternatives[0].split(" / "):
        inner = command.get_command(context, name)
        assert inner is not None, f"there is no command {name!r} ({said})"
        leaves, rest = named(inner, rest)
        found += leaves
    return found, rest


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_commands_and_options_exist(path: Path) -> None:
    root = typer.main.get_command(cli)
    for said in spoken((ROOT / path).read_text()):
        commands, rest = named(root, said.partition("#")[0])
        options = {
            option
            for command in commands
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        wanted = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest))
        assert wanted <= options | {"--help"}, f"segue {said}: no {wanted - options}"


def test_the_page_of_commands_has_every_command() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    found = {name for span in spoken(text) for name in re.findall(r"^[a-z]+", span)}
    assert found == set(COMMANDS)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_the_index_of_documents_is_complete() -> None:
    for folder in (ROOT / "docs", ROOT / "docs" / "adr"):
        index = (folder / "README.md").read_text()
        for page in folder.glob("*.md"):
            assert page.name == "README.md" or f"({page.name})" in index, page


def test_links_between_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / path).read_text()):
            assert (ROOT / path.parent / target).exists(), f"{path}: {target}"


def test_segue_alone_lists_the_commands() -> None:
    answer = CliRunner().invoke(cli, [])
    assert answer.exit_code == 0
    assert all(re.search(rf"^ +{name} ", answer.stdout, re.MULTILINE) for name in COMMANDS)


def test_the_reference_of_settings_is_what_the_declarations_say() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_reference.render(), "run `make pages`"
