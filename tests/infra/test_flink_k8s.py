"""The FlinkDeployment agrees with the image and the lock.

A structural test: the operator's own schema is not part of this repository.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from streams.flink.options import parse
from tests.conftest import ROOT

FOLDER = ROOT / "infra" / "flink"
LOCK = (ROOT / "infra" / "requirements" / "flink.lock").read_text()


def spec() -> dict[str, Any]:
    document = yaml.safe_load((FOLDER / "k8s" / "flinkdeployment.yaml").read_text())
    assert document["apiVersion"] == "flink.apache.org/v1beta1"
    assert document["kind"] == "FlinkDeployment"
    found: dict[str, Any] = document["spec"]
    return found


def test_it_names_the_version_of_the_lock() -> None:
    match = re.search(r"^apache-flink==(\d+)\.(\d+)\.(\d+)", LOCK, re.MULTILINE)
    assert match is not None
    major, minor, patch = match.groups()
    assert spec()["flinkVersion"] == f"v{major}_{minor}"
    assert f"flink-python-{major}.{minor}.{patch}.jar" in spec()["job"]["jarURI"]


def test_the_jobs_take_its_arguments() -> None:
    job = spec()["job"]
    assert job["args"][:2] == ["-pym", "streams.flink"]
    assert parse(job["args"][2:]).parallelism == job["parallelism"]
    slots = int(spec()["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert spec()["taskManager"]["replicas"] * slots >= job["parallelism"]
    managed = int(spec()["flinkConfiguration"]["taskmanager.memory.managed.size"].removesuffix("m"))
    assert managed >= 256 * slots
    assert (job["upgradeMode"], job["state"]) == ("savepoint", "running")


def test_flink_takes_configuration_as_text_and_state_lies_on_the_volume() -> None:
    configuration = spec()["flinkConfiguration"]
    assert all(isinstance(value, str) for value in configuration.values())
    (container,) = spec()["podTemplate"]["spec"]["containers"]
    assert container["name"] == "flink-main-container"  # the name the operator looks for
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for key in ("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"):
        assert any(configuration[key].startswith(f"file://{mount}") for mount in mounts)
