"""Reports once a night whether plays have landed, which starts `segue_nightly`.

The lake is written all day long, so there is no moment at which "the file is there". What is asked
is whether the day that has just ended is in: a commit after midnight shows that the sink has passed
it. Without one the task fails and is tried again, for two hours.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset
from airflow.timetables.trigger import CronTriggerTimetable

PLAYS = Asset("segue://lake/plays")

_MIDNIGHT = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%dT00:00') }}"

with DAG(
    "segue_landing",
    description="Have the plays of the day landed?",
    schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["segue"],
    doc_md=__doc__,
):
    BashOperator(
        task_id="landed",
        bash_command=f"$SEGUE_COMMAND lake show --committed-since {_MIDNIGHT}",
        env={"SEGUE_COMMAND": os.environ.get("SEGUE_BIN", "segue")},
        append_env=True,
        do_xcom_push=False,
        retries=12,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(minutes=5),
        outlets=[PLAYS],
    )
