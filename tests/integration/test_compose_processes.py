"""The processes docker-compose.yml names run with its settings, without Docker."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from contracts.workers import BY_NAME
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import python, wait_until
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from tests.conftest import ROOT
from tests.snowflake_emulator.deployment import Deployment, deployed

pytestmark = pytest.mark.integration


@pytest.fixture
def environment(
    broker: Server, valkey: Valkey, postgres: Postgres, tmp_path: Path
) -> dict[str, str]:
    """Compose's own settings with the addresses of this machine's servers put in."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    described = dict(services["api"]["environment"])
    described |= {
        "SEGUE_HOME": str(tmp_path / "data"),
        "SEGUE_NAMESPACE": "composed",
        "SEGUE_KAFKA": broker.address,
        "SEGUE_REDIS_URL": valkey.address,
        "SEGUE_POSTGRES_DSN": postgres.address.replace(
            "search_path%3Dsegue", "search_path%3Dcomposed"
        ),
        "SEGUE_HOST": "127.0.0.1",
        "SEGUE_HOST_NAME": "compose",
        "SEGUE_PORT": str(free_ports(1)[0]),
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SEGUE_")}
    return inherited | described


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
    for process in started:
        assert process.wait(30) == 0


@pytest.fixture
def snowflake(tmp_path: Path) -> Iterator[Deployment]:
    with deployed(tmp_path) as deployment:
        yield deployment


@pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
def test_init_then_workers_serve(
    environment: dict[str, str],
    snowflake: Deployment,
    processes: list[subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    segue = python("infra.cli")
    for _ in range(2):  # harmless when repeated
        made = subprocess.run(
            [*segue, *services["init"]["command"]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    token = made.stdout.rpartition("admin token: ")[2].strip()

    def start(name: str, **own: str) -> None:
        log = (tmp_path / f"{name}.log").open("wb")
        command = [*segue, "worker", name]
        processes.append(subprocess.Popen(command, env=environment | own, stdout=log, stderr=log))

    names = [s["command"][1] for s in services.values() if s.get("command", [""])[0] == "worker"]
    for name in names:
        if not BY_NAME[name].needs:
            start(name)
    api = f"http://127.0.0.1:{environment['SEGUE_PORT']}"
    _wait_ready(api)
    play = {"user": "ada", "artist": "Air", "title": "Sexy Boy", "played_at": 1_700_000_000_000}
    answer = httpx.post(
        f"{api}/v1/plays",
        json={"plays": [play]},
        headers={"authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert "snowflake-sink" in names
    start("snowflake-sink", **snowflake.environ(snowflake.loader))
    landed = "select user_id, title from {db}.RAW.PLAYS"
    assert wait_until(lambda: snowflake.ask(landed) == [("ada", "Sexy Boy")], 60), (
        tmp_path / "snowflake-sink.log"
    ).read_text()[-3000:]


def _wait_ready(api: str) -> None:
    deadline, said = time.monotonic() + 120, "nothing"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{api}/readyz", timeout=3)
            if answer.status_code == 200:
                return
            said = answer.text
        except httpx.TransportError as error:
            said = str(error)
        time.sleep(0.2)
    pytest.fail(f"{api}/readyz is not green: {said}")
