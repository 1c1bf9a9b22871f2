"""docker-compose.yml holds to the compose schema and to what the code really offers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.database_roles import ADMIN, role_name
from contracts.environ import variables
from contracts.options import DatabaseLogins, RelayTargets
from contracts.settings import Settings
from contracts.snowflake import Snowflake
from contracts.workers import BY_NAME, ERASER, RESULTS_SINK, SNOWFLAKE_SINK, WORKERS
from infra.cli.main import COMMANDS
from tests.compose_file import COMPOSE, interpolated
from tests.compose_file import services as compose_services
from tests.conftest import ROOT

LOGINS = ("", "API_", "SINK_", "ADMIN_")
FLINK_IMAGE = "segue-flink:latest"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    found: dict[str, Any] = document["services"]
    return found


def test_it_is_valid_by_the_compose_schema() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [str(checker), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_check_can_fail(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:", 1))
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [str(checker), "--builtin-schema", "vendor.compose-spec", str(broken)], capture_output=True
    )
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${SET}", "1"), ("${UNSET}", ""), ("${UNSET:-0}", "0"), ("${EMPTY:-0}", "0"),
        ("${EMPTY-0}", ""), ("${UNSET-0}", "0"), ("${SET:-0}", "1"), ("${UNSET:-}", ""),
        ("${SET:?why}", "1"), ("a ${SET} b ${UNSET:-http://c:1} $$d", "a 1 b http://c:1 $d"),
    ],
)  # fmt: skip
def test_variables_are_replaced_as_compose_does(text: str, expected: str) -> None:
    assert interpolated(text, {"SET": "1", "EMPTY": ""}) == expected


def test_a_variable_that_must_be_set_is_asked_for() -> None:
    with pytest.raises(ValueError, match="EMPTY: why"):
        interpolated("${EMPTY:?why}", {"EMPTY": ""})


def test_every_worker_has_a_service(services: dict[str, Any]) -> None:
    commands = [
        tuple(s["command"]) for s in services.values() if s.get("command", [""])[0] == "worker"
    ]
    assert sorted(commands) == sorted(("worker", spec.name) for spec in WORKERS if spec.deployed)


def test_snowflake_is_switched_on_by_its_profile(services: dict[str, Any]) -> None:
    """Each service that goes there is a user of its own; its key is a file, never a value."""
    assert services[SNOWFLAKE_SINK.name]["profiles"] == ["snowflake"]
    passwords = {f"POSTGRES_{login}_PASSWORD": "secret" for login in ("SINK", "ADMIN")}
    for name, role in (
        (SNOWFLAKE_SINK.name, "LOADER"), (ERASER.name, "ERASER"), ("nightly", "TRANSFORMER"),
    ):  # fmt: skip
        environment = services[name]["environment"]
        described = {
            variable: interpolated(value, passwords) for variable, value in environment.items()
        }
        assert Snowflake.from_env(described | {"SEGUE_SNOWFLAKE_ACCOUNT": ""}) is None
        (secret,) = services[name]["secrets"]
        (key,) = [value for variable, value in described.items() if variable.endswith("_KEY_FILE")]
        assert key == f"/run/secrets/{secret}"
        without_keys = {n: v for n, v in described.items() if not n.endswith("_KEY_FILE")}
        found = Snowflake.from_env(without_keys | {"SEGUE_SNOWFLAKE_ACCOUNT": "a"}, name)
        assert found is not None
        assert (found.user, found.database) == (f"SEGUE_{role}", "SEGUE")


def test_each_process_logs_in_as_its_own_role(services: dict[str, Any]) -> None:
    ours = {
        name: service
        for name, service in services.items()
        if "build" in service and not name.startswith("flink-")  # Flink's own image
    }
    logins = {
        name: service["environment"]["SEGUE_POSTGRES_DSN"].partition("//")[2].partition(":")[0]
        for name, service in ours.items()
    }
    expected = {
        name: role_name("segue", BY_NAME[name].database) for name in ours if name in BY_NAME
    }
    commands = dict.fromkeys(("nightly", "command"), role_name("segue", ADMIN))
    assert logins == {**expected, **commands, "init": "segue"}
    given = {v.name for v in variables(DatabaseLogins)}
    assert given <= set(services["init"]["environment"])
    for name in ours.keys() - {"init"}:
        assert given.isdisjoint(services[name]["environment"])


def test_commands_and_settings_exist(services: dict[str, Any]) -> None:
    known = {f"SEGUE_{field.name.upper()}" for field in fields(Settings)}
    known |= {variable.name for variable in variables(DatabaseLogins)}
    snowflake = [field.name.upper() for field in fields(Snowflake)] + ["PRIVATE_KEY_FILE"]
    known |= {f"SEGUE_SNOWFLAKE_{name}" for name in snowflake}
    known |= {f"SEGUE_SNOWFLAKE_ERASER_{name}" for name in snowflake}
    known |= {f"SEGUE_RELAY_{field.name.upper()}" for field in fields(RelayTargets)}
    for name, service in services.items():
        if "build" not in service or service["image"] == FLINK_IMAGE:
            continue
        command = service["command"]
        assert command[0] in COMMANDS, name
        assert command[0] != "worker" or command[1] in BY_NAME, name
        assert set(service["environment"]) <= known, name


def test_the_api_believes_the_pages_and_no_other_host() -> None:
    """The header X-Forwarded-For names the browser of a person who signs in on the pages."""
    given = compose_services({"POSTGRES_" + n + "PASSWORD": "x" for n in LOGINS})
    for name in ("api", "web"):
        trusted = given[name]["environment"]["SEGUE_TRUSTED_PROXIES"].split(",")
        assert [each for each in trusted if each not in ("127.0.0.1", "::1")] == ["web"]
    assert given["web"]["command"] == ["worker", "web"]


def test_flink_services_are_words_of_the_image_and_share_its_settings(
    services: dict[str, Any],
) -> None:
    flink = {n: s for n, s in services.items() if s.get("image") == FLINK_IMAGE}
    assert set(flink) == {"flink-jobmanager", "flink-taskmanager"}
    entrypoint = (ROOT / "infra" / "flink" / "entrypoint.sh").read_text()
    known = {f"SEGUE_{field.name.upper()}" for field in fields(Settings)}
    for service in (*flink.values(), services[RESULTS_SINK.name]):
        assert service["profiles"] == ["flink"]
    for service in flink.values():
        (word,) = service["command"]
        assert f"\n  {word})\n" in entrypoint
        said = set(service["environment"])
        assert said <= known | {"FLINK_JOBMANAGER"}
        assert "FLINK_JOBMANAGER" in entrypoint
    for name in ("api", "lake-sink", "init", RESULTS_SINK.name):
        assert "SEGUE_FLINK" in services[name]["environment"], name


def test_of_the_checkout_the_image_holds_the_wheel_alone() -> None:
    dockerfile = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
    _, second = dockerfile.split("\nFROM ", 2)[1:]
    copied = [line.split()[1:] for line in second.splitlines() if line.startswith("COPY")]
    locks = ["infra/requirements/runtime.lock", "infra/requirements/installer.lock", "/tmp/"]
    assert copied == [locks, ["--from=wheel", "/dist", "/tmp/dist"]]
    assert "PYTHONPATH" not in dockerfile
    assert "PYTHONSAFEPATH=1" in second


@pytest.mark.parametrize("folder", ["docker", "flink"])
def test_an_image_holds_the_bytecode_of_its_packages(folder: str) -> None:
    # The user of a container may not write it, so each process would compile every module again.
    steps = (ROOT / "infra" / folder / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    synced = [step for step in steps if "uv pip" in step]
    assert len(synced) == 1
    assert "--compile-bytecode" in synced[0]
    assert not any("DONTWRITEBYTECODE" in step or "--no-compile" in step for step in steps)
    # A wheel is compiled by pip; what is copied is compiled by a step of its own.
    compiled = " ".join(step for step in steps if "compileall" in step)
    copied = [name for step in steps if step.startswith("COPY ") for name in step.split()[1:-1]]
    packages = [name for name in copied if (ROOT / name / "__init__.py").is_file()]
    assert all(package in compiled.split() for package in packages), packages
