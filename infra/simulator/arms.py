"""Two experiments among the simulated listeners, of which the truth is known.

Neither changes a list. In ``simulated-same`` the arms differ in nothing: a difference in a report
is wrong. In ``simulated-planted`` listeners of the arm ``planted`` take a track of a list more
readily, by a factor that is known: dashboards and reports must find it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from contracts.experiments import Arm, Definition, arm_of
from infra.simulator.listener import Listener

log = logging.getLogger("segue.simulator")

#: How much likelier listeners of the planted arm take a track.
PLANTED = 2.0
_DAYS = 1


def definitions(now: datetime) -> list[Definition]:
    """Return both experiments, to be judged a day after ``now``."""
    return [
        Definition(
            key=f"simulated-{arm}",
            hypothesis=hypothesis,
            arms=(Arm("control", 0.5), Arm(arm, 0.5)),
            metric="hit_through",
            planned_end=now + timedelta(days=_DAYS),
            layer=f"simulated-{arm}",
        )
        for arm, hypothesis in (
            ("same", "Nothing: both arms have the same lists and the same listeners."),
            ("planted", f"Listeners of the arm take tracks {PLANTED:g} times as readily."),
        )
    ]


def start(client: httpx.Client, listeners: Iterable[Listener]) -> None:
    """Define and start both experiments, and make the planted arm's listeners eager.

    An experiment of an earlier run of the simulator continues. Where the API refuses, the reason is
    logged and listeners are as they were.
    """
    for definition in definitions(datetime.now(UTC)):
        path = f"/v1/experiments/{definition.key}"
        try:
            _post(client, "/v1/experiments", msgspec.json.encode(definition))
            _post(client, f"{path}/start", b"")
            state = client.get(path).raise_for_status().json()["experiment"]["state"]
        except httpx.HTTPError as error:
            log.error("experiment %s: %s", definition.key, error)
            continue
        log.info("experiment %s: %s", definition.key, state)
        if state == "running" and definition.arms[1].name == "planted":
            plant(definition, listeners)


def plant(definition: Definition, listeners: Iterable[Listener]) -> None:
    """Make the listeners of the second arm take tracks more readily."""
    for listener in listeners:
        arm = arm_of(definition, listener.user)
        listener.eagerness = PLANTED if arm == definition.arms[1] else 1.0


def _post(client: httpx.Client, path: str, body: bytes) -> None:
    """Post; that it was done before is no error."""
    answer = client.post(path, content=body)
    if answer.status_code != 409:
        answer.raise_for_status()
