"""The layout of `docker-compose.yml` without Docker: the image's entry point and its folders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import yaml

from contracts.settings import Settings
from infra.flink.environment import VENV, environ, jars
from infra.flink.rest import Rest
from infra.stack.ports import LOOPBACK, free_ports
from tests.conftest import ROOT
from tests.streams.flink import kit

ENTRYPOINT = ROOT / "infra" / "flink" / "entrypoint.sh"


class Layout:
    """A job manager and task managers on this machine; each leads a session of its own.

    Parameters
    ----------
    home
        Logs, state and ``/opt/flink`` lie here.
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self.home = home
        self.settings = settings
        rpc, rest = free_ports(2)
        self.rest = Rest(f"http://{LOOPBACK}:{rest}")
        flink = self._image(rpc, rest)
        self._environ = {
            **os.environ, **settings.environ(), **environ(),
            "FLINK_HOME": str(flink), "FLINK_CONF_DIR": str(flink / "conf"),
            "FLINK_LIB_DIR": str(flink / "lib"), "FLINK_LOG_DIR": str(home),
            "FLINK_OPT_DIR": str((flink / "opt").resolve()),
            "FLINK_STATE": str(home / "state"), "FLINK_CHECKPOINT_INTERVAL": "2 s",
            "FLINK_BIND": LOOPBACK, "FLINK_JOBMANAGER": LOOPBACK,
            "FLINK_TASKMANAGER_HOST": LOOPBACK, "FLINK_TASKMANAGER_MEMORY": "2g",
            "FLINK_PROMETHEUS": "0",
        }  # fmt: skip
        self._environ["PATH"] = f"{flink / 'bin'}:{self._environ['PATH']}"
        self._running: list[subprocess.Popen[bytes]] = []

    def _image(self, rpc: int, rest: int) -> Path:
        """Make ``/opt/flink`` as the Dockerfile does: the wheel, the connector, Flink's Python."""
        (wheel,) = VENV.glob("lib/python*/site-packages/pyflink")
        flink = self.home / "opt-flink"
        (flink / "lib").mkdir(parents=True)
        (flink / "conf").mkdir()
        for name in ("opt", "plugins"):
            (flink / name).symlink_to(wheel / name)
        (flink / "bin").mkdir()  # a copy: the scripts look for the rest beside themselves
        for script in (wheel / "bin").iterdir():
            copy = flink / "bin" / script.name
            copy.write_bytes(script.read_bytes())
            copy.chmod(0o755)
        for jar in (*wheel.glob("lib/*.jar"), *wheel.glob("opt/flink-python-*.jar"), *jars()):
            (flink / "lib" / jar.name).symlink_to(jar)
        for file in (wheel / "conf").iterdir():
            (flink / "conf" / file.name).write_bytes(file.read_bytes())
        config = flink / "conf" / "config.yaml"
        java = yaml.safe_load(config.read_text())["env"]["java"]["opts"]["all"]
        own = {
            "env.java.opts.all": f"{java} {kit.QUICK}", "jobmanager.rpc.port": rpc,
            "rest.port": rest,
            # The job manager notices soon that a task manager is gone.
            "heartbeat.interval": 1000, "heartbeat.timeout": 30_000,
        }  # fmt: skip
        config.write_text(yaml.safe_dump(own, width=10_000))
        return flink

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Run the entry point with the words that the compose file gives it."""
        with self.log(words[0]).open("ab") as out:
            process = subprocess.Popen(
                ["bash", str(ENTRYPOINT), *words],
                env=self._environ,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def log(self, word: str) -> Path:
        """Return what a process writes: ``jobmanager`` or ``taskmanager``."""
        return self.home / f"{word}.log"

    @staticmethod
    def python_workers(task_manager: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Return the processes in which a task manager runs Python."""
        children = psutil.Process(task_manager.pid).children(recursive=True)
        return [child for child in children if child.name().startswith("python")]

    def close(self) -> None:
        """Kill everything that still runs."""
        for process in self._running:
            kit.end(process)
