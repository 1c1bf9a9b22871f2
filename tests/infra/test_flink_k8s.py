"""The FlinkDeployment agrees with the image, the lock and the operator's schema.

The schema is not part of this repository, and no registry that the tests use has it. So the fields
that the deployment uses are listed here, and where `$FLINK_CRD` names a file
(``flinkdeployments.flink.apache.org-v1.yml`` of the operator's Helm chart), one more test holds the
deployment to it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from streams.flink.options import parse
from tests.conftest import ROOT

DEPLOYMENT = ROOT / "infra" / "helm" / "segue" / "files" / "flinkdeployment.yaml"
LOCK = (ROOT / "infra" / "requirements" / "flink.lock").read_text()

CRD = os.environ.get("FLINK_CRD", "")
#: Fields of the operator's schema that the deployment uses, with their types; ``object`` is open.
RESOURCE = {"memory": str, "cpu": float, "replicas": int}
FIELDS: dict[str, Any] = {
    "image": str,
    "flinkVersion": str,
    "serviceAccount": str,
    "flinkConfiguration": object,
    "podTemplate": object,
    "jobManager": {"resource": RESOURCE, "replicas": int},
    "taskManager": {"resource": RESOURCE, "replicas": int},
    "job": {
        "jarURI": str,
        "entryClass": str,
        "args": list,
        "parallelism": int,
        "upgradeMode": str,
        "state": str,
    },
}


def spec() -> dict[str, Any]:
    document = yaml.safe_load(DEPLOYMENT.read_text())
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


def unknown(found: dict[str, Any], known: dict[str, Any], path: str = "spec") -> list[str]:
    """Return fields that the schema does not have, or that are of another type."""
    wrong = []
    for name, value in found.items():
        kind, place = known.get(name), f"{path}.{name}"
        if isinstance(kind, dict) and isinstance(value, dict):
            wrong += unknown(value, kind, place)
        elif not (
            isinstance(kind, type) and isinstance(value, (kind, int) if kind is float else kind)
        ):
            wrong.append(place)
    return wrong


def test_every_field_is_one_of_the_operators() -> None:
    assert unknown(spec(), FIELDS) == []
    assert unknown({"jobs": {}, "job": {"state": 1}}, FIELDS) == ["spec.jobs", "spec.job.state"]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that refuses fields it does not name, as a strict API server does."""
    made = dict(schema)
    if fields := schema.get("properties"):
        made["properties"] = {name: strict(field) for name, field in fields.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(items := schema.get("items"), dict):
        made["items"] = strict(items)
    return made


if CRD:

    def test_the_operators_own_schema_takes_it() -> None:
        (version,) = yaml.safe_load(Path(CRD).read_text())["spec"]["versions"]
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
        document = yaml.safe_load(DEPLOYMENT.read_text())
        found = jsonschema.Draft202012Validator(schema).iter_errors(document)
        assert [f"{error.json_path}: {error.message}" for error in found] == []
