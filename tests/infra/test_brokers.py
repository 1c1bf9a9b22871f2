"""Which broker a new home gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts.errors import ConfigurationError
from infra.stack import kafka_jars
from infra.stack.brokers import default_broker


def _java(folder: Path, version: str) -> None:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for programs first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def test_apache_kafka_where_java_and_the_jars_are(path: Path) -> None:
    _java(path, "17.0.15")
    said: list[str] = []
    assert default_broker(said.append, lambda: "libs/*") == "kafka"
    assert not any("tansu" in line for line in said)


def test_tansu_where_java_is_too_old_and_it_is_said(path: Path) -> None:
    _java(path, "11.0.2")
    said: list[str] = []
    assert default_broker(said.append, lambda: "libs/*") == "tansu"
    assert any("Java 17 or newer" in line for line in said)
    assert any("in memory only" in line for line in said)


def test_tansu_where_there_is_no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    said: list[str] = []
    assert default_broker(said.append, lambda: "libs/*") == "tansu"
    assert any("'java' is not on PATH" in line for line in said)


@pytest.mark.parametrize("error", [ConfigurationError("no mvn"), PermissionError("read only")])
def test_tansu_where_the_jars_cannot_be_had(path: Path, error: Exception) -> None:
    _java(path, "21")

    def resolve() -> str:
        raise error

    said: list[str] = []
    assert default_broker(said.append, resolve) == "tansu"
    assert any(str(error) in line for line in said)


def test_the_jars_are_resolved_again_when_the_project_names_others(tmp_path: Path) -> None:
    pom, marker = tmp_path / "pom.xml", tmp_path / "libs" / ".complete"
    pom.write_text("")
    assert not kafka_jars.resolved(tmp_path)
    marker.parent.mkdir()
    marker.write_text("")
    assert kafka_jars.resolved(tmp_path)
    os.utime(pom, (2e9, 2e9))
    assert not kafka_jars.resolved(tmp_path)
