"""`segue flink`: stop, start, and what is wrong in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.settings import Settings
from infra.cli.commands import up
from infra.cli.commands.flink import app
from infra.flink import worker
from infra.flink.environment import environ
from infra.flink.process import stop_mark
from infra.flink.rest import Rest
from infra.stack.home import Home


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that the environment gives to commands."""
    made = replace(Settings(), home=tmp_path, flink="http://127.0.0.1:9")
    for name, value in made.environ().items():
        monkeypatch.setenv(name, value)
    made.paths.flink.mkdir()
    return made


def flink(*words: str) -> str:
    return CliRunner().invoke(app, words, catch_exceptions=False).output


def test_on_tansu_one_sentence_gives_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not run on tansu, which reports a wrong"):
        up._flink(Home(tmp_path), "tansu")


@pytest.mark.parametrize(
    "words",
    [("status",), ("savepoint",), ("stop",), ("start",),
     ("backfill", "--from", "2026-01-01", "--to", "2026-01-02")],
)  # fmt: skip
def test_without_flink_each_command_tells_how_to_start_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SEGUE_FLINK", "")
    with pytest.raises(ConfigurationError, match="segue up --broker kafka --flink"):
        flink(*words)


def test_a_flink_that_does_not_answer_is_named_and_is_not_stopped(settings: Settings) -> None:
    for word in ("status", "savepoint", "stop"):
        with pytest.raises(StoreUnavailable, match=r"Flink at http://127\.0\.0\.1:9: "):
            flink(word)
    assert not stop_mark(settings).exists()
    with pytest.raises(ConfigurationError, match="not stopped"):
        flink("start")


def test_stopped_jobs_wait_until_an_operator_starts_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor starts the process again as soon as it has ended."""
    monkeypatch.setattr(Rest, "savepoint", lambda self, stop: "file:/savepoint")
    assert flink("stop") == "file:/savepoint\n"
    for word in ("stop", "status"):
        with pytest.raises(ConfigurationError, match="segue flink start"):
            flink(word)

    waits, begun = threading.Event(), threading.Event()
    options: list[str] = []

    def begin(_program: str, _words: list[str], environment: dict[str, str]) -> None:
        options.append(environment["JAVA_TOOL_OPTIONS"])
        begun.set()

    def sleep(_: float) -> None:
        waits.set()
        time.sleep(0.01)

    monkeypatch.setattr(worker, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(worker, "ensure_topics", lambda *_: None)
    monkeypatch.setattr(worker, "command", lambda *_: ["jobs"])
    monkeypatch.setattr(os, "execve", begin)
    waiting = threading.Thread(target=worker.run, args=(settings,), daemon=True)
    waiting.start()
    assert waits.wait(20)
    assert not begun.is_set()
    assert "resume from" in flink("start")
    waiting.join(20)
    assert begun.is_set()
    # Each start empties it.
    assert f'"-Djava.io.tmpdir={settings.paths.flink.absolute() / "tmp"}"' in options[0]


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17")
def test_java_reads_a_scratch_folder_with_a_space_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "music of ann"
    folder.mkdir()
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dours=kept")
    done = subprocess.run(
        ["java", "-XshowSettings:properties", "-version"],
        env={**os.environ, **environ(scratch=folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"java.io.tmpdir = {folder}\n" in done.stderr
    assert "ours = kept\n" in done.stderr
