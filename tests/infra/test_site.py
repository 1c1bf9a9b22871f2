"""The documentation site has every page, every command and every operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.cli.main import COMMANDS
from infra.documents import api_reference, cli_reference, hooks, openapi, python_reference, site
from tests.conftest import ROOT


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name Python functions."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *of: of[1])


def leaves(entry: Any) -> set[str]:
    """Return the paths in a navigation."""
    if isinstance(entry, str):
        return {entry}
    values = entry.values() if isinstance(entry, dict) else entry
    return {leaf for value in values for leaf in leaves(value)}


def test_the_navigation_has_every_document() -> None:
    """MkDocs also warns of a page that is missing, but only where the site is built."""
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)
    entries = leaves(config["nav"])
    folders = {entry for entry in entries if entry.endswith("/")}
    for page in site.documents(ROOT):
        name = page.as_posix()
        assert name in entries or f"{page.parent.as_posix()}/" in folders, name
    known = {"reference/cli.md", "reference/api.md"}
    for entry in entries - folders - known:
        assert (ROOT / entry).is_file(), entry


def test_a_folder_in_the_navigation_becomes_its_pages(tmp_path: Path) -> None:
    (tmp_path / "adr").mkdir()
    for name in ("0002.md", "README.md", "0001.md", "0001.png"):
        (tmp_path / "adr" / name).touch()
    assert hooks.expand([{"Decisions": "adr/"}, "README.md"], tmp_path) == [
        {"Decisions": ["adr/README.md", "adr/0001.md", "adr/0002.md"]},
        "README.md",
    ]


def test_the_command_line_reference_has_every_command_and_its_options() -> None:
    page = cli_reference.render()
    for name in COMMANDS:
        assert f"`segue {name}`\n" in page, name
    assert "`segue keys create`" in page
    assert "| `--simulate " in page


def test_the_api_reference_has_every_operation_and_resolves_its_links() -> None:
    document = openapi.document()
    page = api_reference.render(document)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"## `{method.upper()} {path}` {{ #{operation['operationId']} }}" in page
    for target in api_reference.LINK.findall(page):
        assert f"{{ #{target} }}" in page, target


def test_the_python_reference_has_the_modules_people_import() -> None:
    pages = python_reference.pages(ROOT)
    assert "::: online_model.recommender\n" in pages["online_model.recommender.md"]
    assert {"contracts.events.md", "contracts.md", "index.md"} <= set(pages)
    assert not any("._" in name for name in pages)


@pytest.mark.parametrize(
    ("page", "loads"),
    [
        ('<script src="https://cdn.example/a.js"></script>', True),
        ('<link rel=stylesheet href="//fonts.example/a.css">', True),
        ('<a href="https://example.org">elsewhere</a>', False),
        ('<script src="../assets/a.js"></script>', False),
    ],
)
def test_what_a_page_loads_from_another_host_is_found(
    tmp_path: Path, page: str, loads: bool
) -> None:
    (tmp_path / "a.html").write_text(page)
    assert bool(site.foreign(tmp_path)) is loads
