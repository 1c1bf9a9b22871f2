"""``segue up``, ``status`` and ``down`` as a person runs them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from infra.stack.home import Home
from infra.stack.process import birth, python

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


def segue(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = python("infra.cli", *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def of_home(home: Path) -> list[int]:
    """Return every living process that mentions a home in its arguments or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        if str(home) in text and process.pid != os.getpid() and birth(process.pid) is not None:
            found.append(process.pid)
    return found


def wait_for(home: Path, seconds: float) -> list[int]:
    """Return the processes of a home that are still there after some seconds."""
    end = time.monotonic() + seconds
    while (left := of_home(home)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


@pytest.fixture(autouse=True)
def foreign_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the current folder a project whose packages have the names of ours."""
    for name in ("api", "batch", "contracts", "infra", "online_model", "streams", "web"):
        package = tmp_path / "project" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('a package of the user')\n")
    monkeypatch.chdir(tmp_path / "project")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    segue("down", "--home", str(tmp_path / "home"))
    assert of_home(tmp_path / "home") == []


def up(home: Path, *options: str) -> dict[str, Any]:
    """Start a stack and return what it printed."""
    done = segue("up", "--home", str(home), "--port", "0", "--detach", "--json", *options)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def status(home: Path) -> dict[str, Any]:
    """Return the parsed ``segue status --json`` and check that the exit code agrees with it."""
    done = segue("status", "--home", str(home), "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1)
    return answer


def part(home: Path, name: str) -> dict[str, Any]:
    """Return one part of the status."""
    found: dict[str, Any] = next(p for p in status(home)["parts"] if p["name"] == name)
    return found


def listens(stack: dict[str, Any]) -> int:
    """Return how many listens the API counts for the administrator."""
    token = {"Authorization": f"Token {stack['admin_token']}"}
    answer = httpx.get(f"{stack['api']}/1/user/admin/listen-count", headers=token, timeout=60)
    return int(answer.json()["payload"]["count"])


def post_listen(stack: dict[str, Any]) -> None:
    """Post one play through the ListenBrainz API."""
    play = {"artist_name": "Air", "track_name": "Sexy Boy"}
    payload = [{"listened_at": int(time.time()) - 60, "track_metadata": play}]
    httpx.post(
        f"{stack['api']}/1/submit-listens",
        json={"listen_type": "single", "payload": payload},
        headers={"Authorization": f"Token {stack['admin_token']}"},
        timeout=60,
    ).raise_for_status()


@pytest.mark.each_broker
def test_a_stack_lives_is_mended_killed_and_resumed(home: Path, broker_kind: str) -> None:
    first = up(home, "--broker", broker_kind)
    assert {"api", "admin_token", "home", "kafka", "redis", "postgres"} <= set(first)
    assert status(home)["ok"]

    again = segue("up", "--home", str(home))
    assert again.returncode == 1
    assert "already runs" in again.stderr
    assert again.stderr.strip().count("\n") == 0

    post_listen(first)
    while not (part(home, "history-sink")["lag"] == 0 and listens(first) == 1):
        time.sleep(0.2)

    victim = part(home, "lake-sink")["pid"]
    os.kill(victim, signal.SIGKILL)
    end = time.monotonic() + 60
    while (mended := part(home, "lake-sink"))["pid"] in (victim, None) or not mended["ok"]:
        assert time.monotonic() < end, mended
        time.sleep(0.2)
    assert mended["restarts"] == 1

    os.kill(Home(home).read_run().processes["supervisor"]["pid"], signal.SIGKILL)
    assert wait_for(home, 10) == []
    assert status(home)["phase"] == "stopped"

    second = up(home)  # remembers the broker
    assert second["admin_token"] == first["admin_token"]
    assert second["postgres"] == first["postgres"]
    assert listens(second) == 1
    post_listen(second)
    done = segue("down", "--home", str(home), "--json")
    assert json.loads(done.stdout)["stopped"] is True
    assert of_home(home) == []
    assert "does not report" not in (home / "logs" / "supervisor.log").read_text()

    third = up(home)
    assert listens(third) == 2  # what was in the log was applied before the stop


def test_ctrl_c_while_starting_leaves_nothing(home: Path) -> None:
    command = python("infra.cli", "up", "--home", str(home), "--port", "0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "starting listeners" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert wait_for(home, 5) == []


def test_a_taken_port_is_one_clear_line_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        for options in ([], ["--detach"]):
            done = segue("up", "--home", str(tmp_path / "home"), "--port", port, *options)
            assert done.returncode == 1
            assert f"port {port} on 127.0.0.1 is taken" in done.stderr
            assert done.stderr.strip().count("\n") == 0
    assert not (tmp_path / "home" / "postgres").exists()


def test_down_and_status_without_a_stack(tmp_path: Path) -> None:
    assert segue("down", "--home", str(tmp_path)).returncode == 0
    assert status(tmp_path) == {
        "home": str(tmp_path),
        "phase": "stopped",
        "ok": False,
        "parts": [],
    }
