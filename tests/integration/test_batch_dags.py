"""The DAGs on a real Airflow: they load, start by data, and run the nightly step by step."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from batch import warehouse
from batch.nightly import COUNTED, STEPS, nightly
from batch.runs import Runs
from contracts.settings import Settings
from infra.stack.process import python
from tests.batch.lakes import append, delivery

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "batch" / "dags"
AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"


def test_the_dag_has_the_steps_of_the_nightly() -> None:
    tree = ast.parse((DAGS / "segue_nightly.py").read_text())
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert ast.literal_eval(values["STEPS"]) == tuple(STEPS)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an Airflow with a database of its own."""
    if not AIRFLOW.exists():
        pytest.skip("needs the Airflow environment (make airflow)")
    home = tmp_path_factory.mktemp("airflow")
    segue = " ".join(python("infra.cli"))
    environ = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "SEGUE_BIN": segue,
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "true",
    }
    _run(environ, "db", "migrate")
    return environ


def _run(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [str(AIRFLOW), *arguments],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.mark.airflow
@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(900)  # seven programs that take seconds to import, one after the other
def test_a_dag_run_of_a_past_day_whose_task_is_killed_and_retried(
    airflow: dict[str, str], tmp_path: Path
) -> None:
    """A back-fill behind a newer night; the first try of `build` is killed inside dbt."""
    settings = Settings(home=tmp_path / "home")
    append(settings, [delivery("ada", f"T{i % 9}", i * 7, artist=f"A{i % 4}") for i in range(40)])
    assert nightly(settings, day=date(2025, 3, 5)).status == "ok"
    before = {table: warehouse.count(settings, table) for table in COUNTED}
    newer = settings.paths.reports / "weekly-listening" / "2025-03-05.html"
    shown = newer.read_bytes()
    tried = tmp_path / "tried"
    command = tmp_path / "segue"
    command.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *"--until build "*) echo "$@" >> {tried}\n'
        f"  [ $(wc -l < {tried}) -gt 1 ] ||"
        f" exec {sys.executable} -m tests.batch.kill_at build:fct_plays;; esac\n"
        f'exec {" ".join(python("infra.cli"))} "$@"\n'
    )
    command.chmod(0o755)
    environ = airflow | settings.environ() | {"SEGUE_BIN": str(command)}
    environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(_without_delays(tmp_path / "dags"))
    _run(environ, "dags", "test", "segue_nightly", "2025-03-04")
    assert len(tried.read_text().splitlines()) == 2, "Airflow retried the task"
    night, run = Runs(settings.home / "runs").all()
    assert (night.date, night.status) == ("2025-03-05", "ok")
    assert (run.date, run.status) == ("2025-03-04", "ok"), "six tasks and a retry, one run"
    assert [step.status for step in run.steps] == ["ok"] * len(STEPS)
    assert {table: warehouse.count(settings, table) for table in COUNTED} == before
    assert newer.with_name("2025-03-04.html").exists()
    assert newer.read_bytes() == shown


def _without_delays(folder: Path) -> Path:
    """Return a folder with the DAG as it is, but for the minutes before a retry."""
    folder.mkdir()
    (folder / "segue_nightly.py").write_text(
        "# an airflow dag\n"
        "from datetime import timedelta\n"
        "from pathlib import Path\n"
        f"exec(Path({str(DAGS / 'segue_nightly.py')!r}).read_text())\n"
        "for task in before.dag.tasks:\n"
        "    task.retry_delay, task.retry_exponential_backoff = timedelta(seconds=1), False\n"
        "dag = before.dag\n"
    )
    return folder


@pytest.mark.airflow
@pytest.mark.integration
def test_every_dag_loads_and_the_nightly_waits_for_the_lake(airflow: dict[str, str]) -> None:
    script = (
        "import json\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        f"bag = DagBag({str(DAGS)!r})\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "dag = bag.dags['segue_nightly']\n"
        "outlets = [o.uri for t in bag.dags['segue_landing'].tasks for o in t.outlets]\n"
        "print(json.dumps({'dags': sorted(bag.dags), 'outlets': outlets,\n"
        "    'starts': [a.uri for a in dag.timetable.asset_condition.objects],\n"
        "    'active': dag.max_active_runs, 'retries': [t.retries for t in dag.tasks],\n"
        "    'timeouts': all(t.execution_timeout for t in dag.tasks)}))\n"
    )
    done = subprocess.run(
        [str(AIRFLOW.parent / "python"), "-c", script],
        env=airflow,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["dags"] == ["segue_landing", "segue_nightly"]
    assert found["starts"] == found["outlets"] == ["segue://lake/plays"]
    assert found["active"] == 1
    assert min(found["retries"]) >= 1
    assert found["timeouts"]
