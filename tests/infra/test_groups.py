"""What a role imports when it starts is in its group of packages, or in what every role needs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from contracts.workers import BY_NAME
from infra.cli import main
from infra.stack import checks, groups
from infra.stack.checks import WARN
from tests.conftest import ROOT

#: Worker -> the groups its host installs.
WORKERS = {
    "api": ["api"],
    "listeners": ["streams"],
    "learner": ["streams"],
    "lake-sink": ["streams"],
    "history-sink": ["streams"],
    "snowflake-sink": ["streams", "snowflake"],
    "flink": [],
    "results-sink": ["streams"],
    "relay": ["streams"],
    "eraser": ["batch"],
    "importer": [],
    "web": ["web"],
    "simulator": [],
}
#: Other ways in -> groups.
ENTRIES = {
    "infra.cli.main": [],
    "infra.cli.commands.worker": [],
    "infra.cli.commands.init": [],
    "infra.cli.commands.doctor": [],
    "infra.cli.commands.evaluate": [],
    "infra.cli.commands.import_history": [],
    "infra.stack.kernels": [],
    "infra.cli.commands.keys": ["api"],
    "infra.cli.commands.nightly": ["batch"],
    "infra.cli.commands.report": ["batch"],
    "infra.cli.commands.up": ["api", "streams", "embedded"],
}


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what runs when a module is imported: no bodies of functions, nothing for types."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            continue
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _statements(getattr(statement, part, []))


def _imported(module: str, file: Path) -> Iterator[str]:
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for statement in _statements(ast.parse(file.read_text()).body):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            name = statement.module or ""
            if statement.level:
                above = package.split(".")[: len(package.split(".")) - statement.level + 1]
                name = ".".join([*above, name] if name else above)
            yield name
            yield from (f"{name}.{alias.name}" for alias in statement.names)


@cache
def _names(module: str, file: Path) -> tuple[str, ...]:
    return tuple(_imported(module, file))


@cache
def _brings() -> Mapping[str, list[str]]:
    """Return which distributions a top-level module comes from."""
    return packages_distributions()


def outside(entry: str) -> dict[str, str]:
    """Return every foreign top-level module that starting ``entry`` imports, and who imports it."""
    found: dict[str, str] = {}
    seen, waiting = set(), [entry]
    while waiting:
        module = waiting.pop()
        if module in seen or not module:
            continue
        seen.add(module)
        waiting.append(module.rpartition(".")[0])
        if (file := _file(module)) is None:
            continue
        for name in _names(module, file):
            top = name.partition(".")[0]
            if (ROOT / top).is_dir():
                waiting.append(name)
            elif top not in sys.stdlib_module_names:
                found.setdefault(top, module)
    return found


@pytest.mark.parametrize(
    ("entry", "named"),
    [*((spec.module, WORKERS[name]) for name, spec in BY_NAME.items()), *ENTRIES.items()],
)
def test_a_role_starts_with_its_groups_alone(entry: str, named: list[str]) -> None:
    assert _file(entry), f"there is no module {entry}"
    wanted = groups.requirements()
    there = {canonicalize_name(r.name) for group in (groups.BASE, *named) for r in wanted[group]}
    brings = _brings()
    missing = {
        f"{module} (imported by {by})"
        for module, by in outside(entry).items()
        if not there & {canonicalize_name(name) for name in brings.get(module, [module])}
    }
    assert not missing, f"not in {named or 'what every role needs'}"


#: Modules of Flink's distribution, whose packages are not installed beside us.
FLINK = {"pyflink": "apache-flink", "apache_beam": "apache-beam"}


@pytest.mark.parametrize("entry", ["streams.flink.__main__", "streams.flink.decoder"])
def test_the_environment_of_flink_has_what_its_jobs_import(entry: str) -> None:
    lines = (ROOT / "infra/requirements/flink.lock").read_text().splitlines()
    there = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    brings = _brings()
    missing = {
        f"{module} (imported by {by})"
        for module, by in outside(entry).items()
        if not there & {canonicalize_name(FLINK.get(n, n)) for n in brings.get(module, [module])}
    }
    assert not missing, "not in infra/requirements/flink.in"


def test_the_walk_sees_what_is_imported() -> None:
    found = outside("streams.listeners")
    assert {"faust", "aiokafka", "redis", "msgspec", "numpy"} <= set(found)
    assert "snowflake" not in found  # imported inside functions
    assert "fastapi" in outside("api.main")


def test_a_group_that_is_not_installed_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    there = groups.installed
    monkeypatch.setattr(
        checks, "installed", lambda r: None if r.name == "faust-streaming" else there(r)
    )
    found = {check.name: check for check in checks.packages()}
    assert found["group streams"].level == WARN
    assert found["group streams"].found == "without faust-streaming"
    assert "segue[streams]" in found["group streams"].todo
    assert "package faust-streaming" not in found
    assert "group api" not in found


def test_a_command_whose_group_is_missing_says_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent() -> None:
        raise ModuleNotFoundError("No module named 'duckdb'", name="duckdb")

    monkeypatch.setattr(main, "cli", absent)
    with pytest.raises(SystemExit, match="1"):
        main.main()
    assert "pip install 'segue[batch]'" in capsys.readouterr().err
