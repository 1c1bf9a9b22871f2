"""The Helm chart: valid for Kubernetes, one container for each worker, nothing it need not have."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.database_roles import ADMIN
from contracts.environ import variables
from contracts.options import DatabaseLogins
from contracts.settings import Settings
from contracts.snowflake import Snowflake
from contracts.workers import BY_NAME, WORKERS
from infra.cli.main import COMMANDS
from infra.operations.acls import grants
from tests.conftest import ROOT
from tests.rendered_chart import BIN, CHART, FOREIGN, NEEDS_CHART, objects, pods, rendered

DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
KUBERNETES = ("1.35", "1.36", "1.37")
EVERYTHING: dict[str, Any] = {
    "kafka": {"brokers": "kafka-0:9093,kafka-1:9093", "security": "SASL_SSL"},
    "caSecretName": "authority",
    "snowflake": {"enabled": True, "account": "org-account", "secretName": "snowflake"},
    "relay": {"enabled": True},
    "lakeSink": {"replicas": 3},
    "lake": {"url": "s3://music/segue", "endpoint": "https://s3.example.org"},
    "flink": {"enabled": True},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "apiHost": "api.example.org",
        "webHost": "www.example.org",
        "tlsSecretName": "tls",
    },
    "api": {"autoscaling": {"enabled": True}},
    "listeners": {"autoscaling": {"enabled": True, "lagMetric": "segue_worker_lag_messages"}},
    "settings": {"SEGUE_RATE_PER_TOKEN": 5000},
}

pytestmark = NEEDS_CHART


@pytest.fixture(scope="module", params=[{}, EVERYTHING], ids=["default", "everything"])
def chart(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return objects(request.param)


def containers(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for _, pod in pods(found):
        yield from pod["containers"]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in container["env"]}


def test_the_linter_has_nothing_to_say() -> None:
    assert rendered({})["messages"] == []


@pytest.mark.parametrize("version", KUBERNETES)
def test_it_is_valid_for_kubernetes(
    chart: list[dict[str, Any]], version: str, tmp_path: Path
) -> None:
    known = [document for document in chart if document["kind"] != FOREIGN]
    assert validated(known, version, tmp_path).returncode == 0


def test_the_validation_can_fail(chart: list[dict[str, Any]], tmp_path: Path) -> None:
    broken = next(document for document in chart if document["kind"] == "StatefulSet")
    broken = json.loads(json.dumps(broken).replace("Probe", "Prob"))
    assert validated([broken], KUBERNETES[-1], tmp_path).returncode != 0


def validated(
    documents: list[dict[str, Any]], version: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    file = folder / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    command = [str(BIN / "kubernetes-validate"), "--strict", "-k", version, str(file)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"kafka": {"brokers": "kafka"}}, "/kafka/brokers"),
        ({"kafka": {"brokers": "[::1]"}}, "/kafka/brokers"),
        ({"kafka": {"security": "TLS"}}, "/kafka/security"),
        ({"kafka": {"mechanism": "GSSAPI"}}, "/kafka/mechanism"),
        ({"secretName": ""}, "/secretName"),
        ({"api": {"replicas": 0}}, "/api/replicas"),
        ({"importer": {"replicas": 0}}, "/importer/replicas"),
        ({"relay": {"replicas": 2}}, "/relay/replicas"),
        ({"nightly": {"target": "oracle"}}, "/nightly/target"),
        ({"settings": {"RATE": 1}}, "'RATE' does not match"),
        ({"ingress": {"enabled": True}}, "ingress.apiHost and ingress.webHost must be set"),
    ],
)  # fmt: skip
def test_values_that_cannot_work_are_refused_by_name(values: dict[str, Any], what: str) -> None:
    assert what in rendered(values)["refused"]


def test_a_worker_that_must_be_alone_ends_before_its_successor_starts() -> None:
    several = {"eraser": {"replicas": 2}, "importer": {"replicas": 3}}
    found = {
        document["metadata"]["name"].removeprefix("demo-"): document["spec"]
        for document in objects({**EVERYTHING, **several})
        if document["kind"] == "Deployment"
    }
    alone = {n for n, spec in found.items() if spec.get("strategy") == {"type": "Recreate"}}
    assert alone == {"history-sink", "snowflake-sink", "relay", "results-sink"}
    assert {found[name]["replicas"] for name in alone} == {1}
    assert (found["eraser"]["replicas"], found["importer"]["replicas"]) == (2, 3)
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for name in alone - {"history-sink"}:
        assert f"| `-{name}` |" in page, "what happens while it is away"


def test_every_deployed_worker_has_one_container() -> None:
    given = [
        tuple(container["args"])
        for container in containers(objects(EVERYTHING))
        if container["args"][0] == "worker"
    ]
    assert sorted(given) == sorted(("worker", spec.name) for spec in WORKERS if spec.deployed)
    needed = {("worker", spec.name) for spec in WORKERS if spec.deployed and not spec.optional}
    assert needed == {
        tuple(container["args"])
        for container in containers(objects({}))
        if container["args"][0] == "worker"
    }


def test_settings_name_no_variable_that_the_chart_sets_itself() -> None:
    """Kubernetes refuses a container whose environment names a variable twice."""
    set_by_chart = {
        name
        for values in ({}, {**EVERYTHING, "settings": {}})
        for container in containers(objects(values))
        for name in environment(container)
    }
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["settings"]["propertyNames"]["not"]["enum"]) == set_by_chart
    for container in containers(objects(EVERYTHING)):
        assert len(environment(container)) == len(container["env"])
    assert (
        "SEGUE_KAFKA_SECURITY" in rendered({"settings": {"SEGUE_KAFKA_SECURITY": "SSL"}})["refused"]
    )


def test_commands_and_settings_exist(chart: list[dict[str, Any]]) -> None:
    known = {v.name for group in (Settings, Snowflake, DatabaseLogins) for v in variables(group)}
    own = {"SEGUE_SNOWFLAKE_ERASER_USER", "SEGUE_SNOWFLAKE_ERASER_PRIVATE_KEY"}
    for container in containers(chart):
        assert container["args"][0] in COMMANDS
        assert set(environment(container)) <= known | own


def test_the_flink_jobs_reach_the_log_by_the_settings_of_the_workers() -> None:
    """With another number of partitions they would refuse most listeners."""
    found = objects(EVERYTHING)
    (flink,) = [document["spec"] for document in found if document["kind"] == FOREIGN]
    (container,) = flink["podTemplate"]["spec"]["containers"]
    worker = next(c for c in containers(found) if c["args"] == ["worker", "listeners"])
    given, others = environment(container), environment(worker)
    assert {"SEGUE_KAFKA", "SEGUE_NAMESPACE", "SEGUE_PARTITIONS"} < set(given)
    assert set(EVERYTHING["settings"]) < set(given)
    assert kafka_login(container) == ("segue-flink", "kafka-flink-password")
    own = {"SEGUE_KAFKA_USER", "SEGUE_KAFKA_PASSWORD"}
    assert own < set(given)
    assert all(given[name] == others[name] for name in given.keys() - own)
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {each["name"] for each in flink["podTemplate"]["spec"]["volumes"]}
    assert "certs" in mounted


def kafka_login(container: dict[str, Any]) -> tuple[str, str] | None:
    """Return the user and the key of the password, ``None`` for a container that has no login."""
    given = environment(container)
    if "SEGUE_KAFKA_USER" not in given:
        return None
    password = given["SEGUE_KAFKA_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert password["name"] == "segue"
    return given["SEGUE_KAFKA_USER"]["value"], password["key"]


def process(container: dict[str, Any]) -> str:
    """Return the worker that a container runs, or its command."""
    name: str = container["args"][1 if container["args"][0] == "worker" else 0]
    return name


def test_each_worker_logs_in_to_kafka_as_the_principal_that_has_its_rights() -> None:
    found = {process(each): kafka_login(each) for each in containers(objects(EVERYTHING))}
    users = {login[0] for login in found.values() if login}
    principals = {grant.principal.removeprefix("User:") for grant in grants(Settings())}
    assert users == principals - {"segue-flink"} | {"segue-init"}
    for name, login in found.items():
        assert login in (None, (f"segue-{name}", f"kafka-{name}-password")), name


def test_one_login_to_kafka_may_serve_all() -> None:
    kafka = {"security": "SASL_PLAINTEXT", "user": "music"}
    logins = {kafka_login(each) for each in containers(objects({"kafka": kafka}))}
    assert logins == {("music", "kafka-password"), None}


def test_without_sasl_no_container_needs_a_login() -> None:
    assert not any(
        kafka_login(each) for each in containers(objects({"kafka": {"security": "SSL"}}))
    )


def test_every_container_finds_the_authority_where_its_settings_look() -> None:
    for name, pod in pods(objects(EVERYTHING)):
        (secret,) = [each["secret"] for each in pod["volumes"] if each["name"] == "certs"]
        assert secret["secretName"] == "authority", name
        (file,) = [item["path"] for item in secret["items"]]
        for container in pod["containers"]:
            (mount,) = [each for each in container["volumeMounts"] if each["name"] == "certs"]
            assert mount["readOnly"] is True
            given = environment(container)["SEGUE_KAFKA_CA"]["value"]
            assert given == f"{mount['mountPath']}/{file}"


def test_no_authority_is_named_where_nothing_is_encrypted() -> None:
    for container in containers(objects({"caSecretName": "authority"})):
        assert "SEGUE_KAFKA_CA" not in environment(container)
        assert "certs" in {mount["name"] for mount in container["volumeMounts"]}


def test_each_process_logs_in_as_its_own_role(chart: list[dict[str, Any]]) -> None:
    for container in containers(chart):
        login = environment(container)["SEGUE_POSTGRES_DSN"]["valueFrom"]["secretKeyRef"]["key"]
        command = container["args"][-1] if container["args"][0] == "worker" else ""
        expected = BY_NAME[command].database if command else ADMIN
        if container["name"] == "init":
            expected = "owner"  # type: ignore[assignment]
        assert login == f"postgres-{expected}-dsn", container["name"]


def test_no_value_of_a_secret_is_in_a_manifest(chart: list[dict[str, Any]]) -> None:
    secret = {
        v.name
        for group in (Settings, Snowflake, DatabaseLogins)
        for v in variables(group)
        if v.secret
    }
    for container in containers(chart):
        for name, given in environment(container).items():
            if name in secret or name.endswith("_PRIVATE_KEY"):
                assert "value" not in given, name
    assert "Secret" not in {document["kind"] for document in chart}


def test_every_container_is_confined(chart: list[dict[str, Any]]) -> None:
    for name, pod in pods(chart):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            own = {each["metadata"]["name"] for each in claims(chart, name)}
            assert mounted <= {volume["name"] for volume in pod["volumes"]} | own


def claims(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [
        claim
        for document in found
        if document["metadata"]["name"] == name
        for claim in document["spec"].get("volumeClaimTemplates", [])
    ]


def test_a_worker_that_folds_the_log_says_whether_it_is_well(chart: list[dict[str, Any]]) -> None:
    for container in containers(chart):
        name = container["args"][-1]
        if container["args"][0] != "worker" or not (BY_NAME[name].folds or name in ("api", "web")):
            continue
        probe = container["livenessProbe"]["httpGet"]
        (port,) = container["ports"]
        assert (probe["path"], probe["port"]) == ("/healthz", port["name"])
        if port["name"] == "health":
            given = environment(container)["SEGUE_WORKER_PORT"]["value"]
            assert int(given) == port["containerPort"]
        else:
            settings = Settings()
            expected = {"api": settings.port, "web": settings.web_port}[name]
            assert port["containerPort"] == expected


def test_model_and_api_share_a_folder_that_no_other_pod_has(chart: list[dict[str, Any]]) -> None:
    (pod,) = [pod for name, pod in pods(chart) if name == "demo-api"]
    api, learner = pod["containers"]
    assert environment(api)["SEGUE_MODEL"] == environment(learner)["SEGUE_MODEL"]
    assert api["volumeMounts"] == learner["volumeMounts"]
    assert [c["metadata"]["name"] for c in claims(chart, "demo-api")] == ["model"]
    names = [environment(container)["SEGUE_HOST_NAME"] for container in (api, learner)]
    assert all(name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name" for name in names)


def test_pods_stay_in_the_service_while_a_store_that_all_share_is_down(
    chart: list[dict[str, Any]],
) -> None:
    (pod,) = [pod for name, pod in pods(chart) if name == "demo-api"]
    assert pod["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/readyz?scope=pod"


def test_services_lead_to_pods_with_that_port(chart: list[dict[str, Any]]) -> None:
    templates = [
        document["spec"]["template"]
        for document in chart
        if document["kind"] in ("StatefulSet", "Deployment")
    ]
    for document in chart:
        if document["kind"] != "Service":
            continue
        wanted = document["spec"]["selector"].items()
        (found,) = [t for t in templates if wanted <= t["metadata"]["labels"].items()]
        ports = {p["name"] for c in found["spec"]["containers"] for p in c.get("ports", [])}
        assert {port["targetPort"] for port in document["spec"]["ports"]} <= ports


def test_the_api_believes_the_pods_of_the_pages_and_named_proxies() -> None:
    found = objects({"trustedProxies": ["10.4.0.0/16", "ingress"]})
    (api,) = [c for c in containers(found) if c["args"] == ["worker", "api"]]
    name, *others = environment(api)["SEGUE_TRUSTED_PROXIES"]["value"].split(",")
    assert others == ["10.4.0.0/16", "ingress"]
    (service,) = [d for d in found if (d["kind"], d["metadata"]["name"]) == ("Service", name)]
    (pages,) = [
        d for d in found if (d["kind"], d["metadata"]["name"]) == ("Deployment", "demo-web")
    ]
    # Without an address of its own: a look-up of its name finds the addresses of the pods.
    assert service["spec"]["clusterIP"] == "None"
    labels = pages["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_the_image_keeps_its_packages_where_the_chart_looks() -> None:
    version = re.findall(r"^FROM python:(\d+\.\d+)-slim$", DOCKERFILE.read_text(), re.MULTILINE)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["image"]["packages"] == f"/usr/local/lib/python{version[-1]}/site-packages"
