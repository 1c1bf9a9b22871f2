"""The nightly under Airflow 3: the same steps as `segue nightly`, one task each.

A task runs `segue nightly --until STEP`, which resumes the run where the task before left it, so a
task that is retried, cleared or killed repeats nothing that had finished. Starts when
`segue_landing` reports that plays have landed; for a past day give the date:
``airflow dags trigger segue_nightly --logical-date 2025-03-04``.

``SEGUE_BIN`` is the command (default ``segue``); the deployment is that of the ``SEGUE_*``
variables of the worker.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

#: In this order; a test holds it against `batch.nightly.STEPS`.
STEPS = ("land", "quality", "build", "retrain", "reports", "catalogue")
#: The longest a step may take, minutes: ten million plays take five in all.
LONGEST = {"build": 60, "retrain": 60}
PLAYS = Asset("segue://lake/plays")
REPORTS = Asset("segue://reports")

# A run that an asset starts has no logical date: the day it was due is the day it is about.
_DAY = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%d') }}"

with DAG(
    "segue_nightly",
    description="Quality, dbt build, retraining, reports, catalogue.",
    schedule=[PLAYS],
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # the lock of the home refuses a second run besides
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "append_env": True,
        "do_xcom_push": False,
    },
    tags=["segue"],
    doc_md=__doc__,
):
    before: BashOperator | None = None
    for step in STEPS:
        task = BashOperator(
            task_id=step,
            bash_command=f"$SEGUE_COMMAND nightly --until {step} --date {_DAY}",
            env={"SEGUE_COMMAND": os.environ.get("SEGUE_BIN", "segue")},
            execution_timeout=timedelta(minutes=LONGEST.get(step, 20)),
            outlets=[REPORTS] if step == "reports" else [],
        )
        if before is not None:
            before >> task
        before = task
