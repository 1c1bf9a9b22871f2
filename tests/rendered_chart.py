"""The objects that Helm renders from our chart, for tests of the chart and tests that run them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

CHART = ROOT / "infra" / "helm" / "segue"
BIN = ROOT / ".venv-chart" / "bin"
NEEDS_CHART = pytest.mark.skipif(not (BIN / "python").exists(), reason="needs Helm: make chart")
#: Made known by Flink's operator: not a kind that Kubernetes has a schema of.
FOREIGN = "FlinkDeployment"


def rendered(values: dict[str, Any]) -> dict[str, Any]:
    """Return ``messages`` of the linter and ``texts`` of the templates, or why Helm ``refused``."""
    done = subprocess.run(
        [
            str(BIN / "python"),
            str(ROOT / "tests" / "helm_chart.py"),
            str(CHART),
            json.dumps(values),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def objects(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of Kubernetes that the chart makes of some values."""
    found = rendered(values)
    assert "refused" not in found, found
    return [
        document
        for name, text in found["texts"].items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


def pods(found: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each object that makes pods, and the specification of its pods."""
    for document in found:
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if document["kind"] != FOREIGN and "template" in spec:
            yield document["metadata"]["name"], spec["template"]["spec"]
