"""What an operator does over HTTP, on the whole stack: dead letters, models in service."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import numpy as np
import pytest
from confluent_kafka import Producer

from contracts import batch_view
from contracts.batch_view import BatchView, Manifest
from contracts.ids import partition_of
from contracts.topics import Topics
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration


def call(stack: RunningStack, method: str, path: str, **options: Any) -> httpx.Response:
    """Ask the API as the administrator."""
    headers = {"authorization": f"Bearer {stack.admin_token}"}
    return httpx.request(method, f"{stack.api}{path}", headers=headers, timeout=60, **options)


def audited(stack: RunningStack, action: str) -> list[dict[str, Any]]:
    """Return rows of the audit trail, the latest first."""
    rows: list[dict[str, Any]] = call(stack, "GET", f"/v1/audit?action={action}").json()["rows"]
    return rows


def test_a_dead_letter_is_read_and_sent_once_however_often_one_asks(stack: RunningStack) -> None:
    marker = uuid.uuid4().hex
    value = f'{{"broken {marker}'.encode()
    producer = Producer({"bootstrap.servers": stack.settings.kafka, "acks": "all"})
    partition = partition_of("ada", stack.settings.partitions)
    producer.produce(Topics(stack.settings.namespace).plays, value, b"ada", partition)
    assert producer.flush(15) == 0
    stack.wait_applied()

    def ours() -> list[dict[str, Any]]:
        """Other tests have dead letters on this stack too."""
        letters = call(stack, "GET", "/v1/dead-letters?reason=bad-json").json()["letters"]
        path = "/v1/dead-letters/{id}"
        shown = (call(stack, "GET", path.format(**letter)).json() for letter in letters)
        return [
            letter
            for letter, whole in zip(letters, shown, strict=True)
            if whole["value"] == value.decode()
        ]

    (letter,) = ours()
    assert letter["user"] == "ada"
    assert letter["bytes"] == len(value)
    listed = call(stack, "GET", "/v1/dead-letters?reason=bad-json").json()
    group = {"topic": letter["topic"], "reason": "bad-json"}
    assert any(group.items() <= each.items() and each["count"] >= 1 for each in listed["groups"])
    path = f"/v1/dead-letters/{letter['id']}"
    assert call(stack, "GET", "/v1/dead-letters/nothing:0:1").status_code == 404
    assert call(stack, "GET", "/v1/dead-letters?reason=no-such-reason").json()["letters"] == []

    with ThreadPoolExecutor(4) as pool:  # a person clicks four times
        answers = list(pool.map(lambda _: call(stack, "POST", f"{path}/replay"), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sum(a.json()["sent"] for a in answers if a.status_code == 200) == 1
    done = audited(stack, "letter.replay")
    assert f'"{letter["id"]}"' in done[0]["detail"]
    assert done[0]["actor"] == "admin"
    stack.wait_applied()
    (again,) = ours()  # still broken: a new letter
    assert again["id"] != letter["id"]


def test_refused_plays_are_sent_by_reason(stack: RunningStack) -> None:
    """One is good once its time has come; the other fails again, and keeps waiting."""
    title = uuid.uuid4().hex

    def waiting() -> set[str]:
        letters = call(stack, "GET", "/v1/dead-letters?reason=future").json()["letters"]
        return {letter["id"] for letter in letters}

    for _ in range(5):  # on a busy machine the time may have come before the play is posted
        others = waiting()  # of other tests on this stack
        soon = int(time.time() * 1000) + 3_600_000 + 4_000
        plays = [
            {"user": "ada", "artist": "Air", "title": title, "played_at": soon + later}
            for later in (0, 86_400_000)
        ]
        answer = call(stack, "POST", "/v1/plays", json={"plays": plays})
        reasons = [row.get("reason") for row in answer.json()["results"]]
        if reasons == ["future", "future"]:
            break
    assert reasons == ["future", "future"]
    assert wait_until(lambda: len(waiting() - others) == 2, 90)
    ours = waiting() - others
    values = {id_: call(stack, "GET", f"/v1/dead-letters/{id_}").json()["value"] for id_ in ours}
    (good,) = [id_ for id_, value in values.items() if str(soon) in value]
    time.sleep(max(0.0, soon / 1000 - 3600 - time.time()) + 0.5)
    chosen = {"topic": "http:/v1/plays", "reason": "future"}
    done = call(stack, "POST", "/v1/dead-letters/replay", json=chosen).json()
    outcomes = {row["id"]: row for row in done["letters"] if row["id"] in ours}
    (failed,) = ours - {good}
    assert {id_: row["sent"] for id_, row in outcomes.items()} == {good: True, failed: False}
    assert outcomes[failed]["outcome"].startswith("refused again")
    assert waiting() & ours == {failed}
    stack.wait_applied(workers=("history-sink",))
    history = call(stack, "GET", f"/v1/users/ada/plays?q={title}").json()["plays"]
    starts = [datetime.fromisoformat(play["played_at"]).timestamp() for play in history]
    assert [round(start * 1000) for start in starts].count(soon) == 1
    assert audited(stack, "letter.replay")[0]["outcome"] == "failed"
    assert call(stack, "POST", "/v1/dead-letters/replay", json={}).status_code == 400


def _generation(stack: RunningStack, number: int) -> None:
    manifest = Manifest(
        generation=number, algorithm="ease", trained_at=f"2025-03-0{number}T00:00:00+00:00",
        lake_version=3, plays_until=1_741_000_000_000, listeners=4, tracks=2,
        metrics={"new.hr@10": 0.5, "popularity.hr@10": 0.25},
    )  # fmt: skip
    one = np.array([[1], [0]])
    view = BatchView(
        np.array([5, 9], np.uint64), one.astype(np.int32), one.astype(np.float32), manifest
    )
    batch_view.write(stack.settings.paths.batch_view, view)


def test_a_generation_goes_into_service_and_the_model_reads_it(stack: RunningStack) -> None:
    play = {"user": "ada", "artist": "Air", "title": "One", "played_at": int(time.time() * 1000)}
    call(stack, "POST", "/v1/plays", json={"plays": [play]}).raise_for_status()
    for number in (1, 2):
        _generation(stack, number)

    def reads(number: int) -> bool:
        found = call(stack, "GET", "/v1/model/generations").json()
        return bool(found["in_use"] == number)

    done = call(stack, "POST", "/v1/model/generations/2/promote").json()
    assert (done["generation"]["generation"], done["before"]) == (2, None)
    assert wait_until(lambda: reads(2), 90, 0.5)
    assert call(stack, "POST", "/v1/model/generations/2/promote").status_code == 409
    assert call(stack, "POST", "/v1/model/generations/9/promote").status_code == 409
    for _ in range(2):  # asking twice goes back once
        answer = call(stack, "POST", "/v1/model/rollback?current=2")
    assert answer.status_code == 409
    assert "generation 1 is in service" in answer.json()["error"]["message"]
    assert wait_until(lambda: reads(1), 90, 0.5)
    assert '"generation":1' in audited(stack, "model.roll-back")[0]["detail"]
    assert '"generation":2' in audited(stack, "model.promote")[0]["detail"]


def test_the_lake_is_looked_at(stack: RunningStack) -> None:
    play = {"user": "ada", "artist": "Air", "title": "Two", "played_at": int(time.time() * 1000)}
    call(stack, "POST", "/v1/plays", json={"plays": [play]}).raise_for_status()
    stack.wait_applied(workers=("lake-sink",))
    (plays,) = [t for t in call(stack, "GET", "/v1/lake").json()["tables"] if t["name"] == "plays"]
    assert plays["rows"] >= 1
    assert plays["files"] >= 1
    found = call(stack, "GET", "/v1/lake/plays/versions").json()
    assert found["versions"][0]["version"] == plays["version"]
    assert call(stack, "GET", "/v1/lake/..%2Fx/versions").status_code == 404
    assert call(stack, "GET", "/v1/lake/nothing/versions").status_code == 404
