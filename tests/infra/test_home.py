"""The home folder: one stack at a time, and no process touched that is not ours."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import ConfigurationError
from infra.stack.accounts import admin_token
from infra.stack.home import Home, StackRecord, end_leftovers
from infra.stack.process import Process, birth
from infra.stack.running import running, settings_of

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_second_stack_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    first = Home(tmp_path / "deep" / "home")
    first.open()
    with pytest.raises(ConfigurationError, match=rf"pid {os.getpid()}\).*segue down"):
        Home(tmp_path / "deep" / "home").open()
    first.close()
    second = Home(tmp_path / "deep" / "home")
    second.open()
    second.close()


def test_a_home_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--home .* cannot be used") as caught:
        Home(tmp_path / "file" / "home").open()
    assert "\n" not in str(caught.value)


def test_a_home_is_its_owners_alone_also_one_of_an_earlier_version(tmp_path: Path) -> None:
    for made in ("fresh", "old"):
        path = tmp_path / made
        if made == "old":
            (path / "logs").mkdir(parents=True)
            (path / "logs" / "api.log").write_text("ada played something")
            for folder in (path, path / "logs"):
                folder.chmod(0o755)
        home = Home(path)
        home.open()
        home.close()
        for folder in [path, *(p for p in path.iterdir() if p.is_dir())]:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert (tmp_path / "old" / "logs" / "api.log").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_database_of_another_user_can_pass_and_nobody_reads(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (home.path / "postgres").mkdir(parents=True)
    (home.path / "logs").mkdir()
    os.chown(home.path / "postgres", 65534, 65534)
    home.open()
    home.close()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o711
    assert stat.S_IMODE((home.path / "logs").stat().st_mode) == 0o700


def test_the_record_survives_and_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path)
    run = StackRecord(phase="ready", environ={"SEGUE_PORT": "1"})
    run.note("api", os.getpid(), restarts=2)
    home.write_run(run)
    assert home.read_run() == run
    assert home.read_run().alive("api")
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600
    (tmp_path / "run.json").write_text('{"phase": "rea')
    assert home.read_run() == StackRecord()


def test_leftovers_end_and_a_stranger_with_the_same_pid_lives() -> None:
    ours, stranger = subprocess.Popen(_SLEEP), subprocess.Popen(_SLEEP)
    try:
        run = StackRecord()
        run.note("api", ours.pid)
        run.note("learner", stranger.pid)
        boot, _, ticks = run.processes["learner"]["birth"].partition(" ")
        run.processes["learner"]["birth"] = f"{boot} {int(ticks) - 1}"  # the pid is another's now
        assert end_leftovers(run) == ["api"]
        assert ours.wait(5) != 0
        assert stranger.poll() is None
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def test_the_dead_have_no_birth() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert birth(process.pid) is None
    assert birth(os.getpid()) == birth(os.getpid()) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's name of a start of the machine")
def test_a_reboot_makes_strangers_of_all_pids(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = subprocess.Popen(_SLEEP)
    try:
        run = StackRecord()
        run.note("api", stranger.pid)
        assert run.alive("api")
        monkeypatch.setattr("infra.stack.process._boot_id", lambda: "another start of this machine")
        assert not run.alive("api")
        assert end_leftovers(run) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_home_without_room_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ConfigurationError, match="No space left on device; mend that"):
        Home(tmp_path).open()


def test_a_deployment_is_what_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", "postgresql://x@127.0.0.1:1/x")
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    monkeypatch.setenv("SEGUE_HOST", "0.0.0.0")
    monkeypatch.delenv("SEGUE_ADMIN_TOKEN", raising=False)
    assert running(None).admin_token == ""
    token = admin_token(tmp_path)
    found = running(None)
    assert (found.api, found.admin_token) == ("http://127.0.0.1:8000", token)
    with pytest.raises(ConfigurationError, match="no stack runs"):
        running(tmp_path)


def test_running_names_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="segue up"):
        running(tmp_path)
    run = StackRecord(phase="starting")
    run.note("supervisor", os.getpid())
    Home(tmp_path).write_run(run)
    with pytest.raises(ConfigurationError, match="is starting"):
        running(tmp_path)
    run.phase, run.environ = "ready", {"SEGUE_PORT": "1234", "SEGUE_ADMIN_TOKEN": "t"}
    Home(tmp_path).write_run(run)
    assert running(tmp_path).api == "http://127.0.0.1:1234"
    assert running(tmp_path).admin_token == "t"


def test_the_admin_token_is_made_once_and_private(tmp_path: Path) -> None:
    token = admin_token(tmp_path)
    assert len(bytes.fromhex(token)) == 32
    assert admin_token(tmp_path) == token
    assert stat.S_IMODE((tmp_path / "admin-token").stat().st_mode) == 0o600
    (tmp_path / "admin-token").write_text("")  # a crash between making and filling
    assert len(admin_token(tmp_path)) == 64


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from infra.stack.process import Process
child = Process("child", {_SLEEP!r}, Path({str(tmp_path / "log")!r}))
child.start()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    pid = int(done.stdout)
    for _ in range(100):
        if birth(pid) is None:
            return
        subprocess.run(["sleep", "0.05"], check=True)
    pytest.fail(f"process {pid} outlived its parent")


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    process = Process(
        "deaf", [sys.executable, "-c", f"{deaf}; time.sleep(60)"], tmp_path / "deaf.log"
    )
    process.start()
    while not process.tail():
        assert process.pid is not None
    assert process.stop(timeout=0.3) == -9
    assert process.pid is None


def test_without_a_stack_the_environment_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", "postgresql://x@127.0.0.1:1/x")
    settings = settings_of(tmp_path)
    assert (settings.home, settings.postgres_dsn) == (tmp_path, "postgresql://x@127.0.0.1:1/x")
