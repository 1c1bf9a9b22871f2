"""The generated clients compile, and their examples work against a running stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration

CLIENTS = ROOT / ".clients"
PYTHON = CLIENTS / "python"


def run(command: list[str], folder: Path, **environ: str) -> str:
    """Run a command and return what it prints; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.mark.skipif(not PYTHON.exists(), reason="no Python client: make clients")
def test_the_python_example(stack: RunningStack, tmp_path: Path) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "clients.md").read_text(), re.S
    )
    (tmp_path / "example.py").write_text(example)
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "example.py"]
    run(check, tmp_path, MYPYPATH=str(PYTHON))
    token = stack.token_for("typed")
    command = [sys.executable, "example.py", stack.api, token, "typed"]
    assert run(command, tmp_path, PYTHONPATH=str(PYTHON)).startswith("1 [")


@pytest.mark.skipif(not (CLIENTS / "typescript").exists(), reason="no TypeScript client")
def test_the_typescript_example(stack: RunningStack) -> None:
    token = stack.token_for("typed-too")
    command = ["node", "first_list.js", stack.api, token, "typed-too"]
    answer = json.loads(run(command, CLIENTS / "typescript"))
    assert answer["accepted"] == 1
    assert 0 <= answer["tracks"] <= 3
