"""Which processes an erasure waits for, and how it continues without a host that is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from contracts.errors import BrokerUnavailable, ConfigurationError, StoreUnavailable
from contracts.heartbeat import STALE_AFTER, STOPPED, Heartbeat
from contracts.settings import Settings
from contracts.workers import WORKERS
from infra.operations import hosts
from infra.operations.erasure import log, requests
from infra.operations.erasure.log import GONE_MS, awaits
from infra.operations.erasure.run import Work

NOW = 10 * GONE_MS
SILENT = int(STALE_AFTER * 1000) + 1
PLACE = "erasures:0"


def beat(name: str, age: int = 0, state: str = "running", known: int = 0) -> Heartbeat:
    return Heartbeat(name=name, pid=1, at=NOW - age, state=state, offsets={PLACE: known})


@pytest.mark.parametrize("spec", [spec for spec in WORKERS if spec.folds], ids=lambda s: s.name)
def test_every_process_that_reports_is_awaited_and_none_after_a_day(spec: Any) -> None:
    assert awaits(beat(f"{spec.name}@a", state="waiting"), NOW)
    assert not awaits(beat(f"{spec.name}@a", GONE_MS), NOW)


@pytest.mark.parametrize("worker", ["listeners", "lake-sink", "history-sink", "relay"])
def test_a_silent_process_behind_a_fence_is_not_awaited(worker: str) -> None:
    assert not awaits(beat(f"{worker}@killed", SILENT), NOW)
    assert not awaits(beat(f"{worker}@stopped", state=STOPPED), NOW)


def test_a_silent_snowflake_sink_is_awaited_unless_it_stopped_in_order() -> None:
    assert awaits(beat("snowflake-sink@killed", SILENT), NOW)
    assert not awaits(beat("snowflake-sink@stopped", SILENT, STOPPED), NOW)


def test_a_learner_is_awaited_however_it_ended() -> None:
    """Its arrays and snapshots are on the disk of that host."""
    assert awaits(beat("learner@killed", SILENT), NOW)
    assert awaits(beat("learner@stopped", SILENT, STOPPED), NOW)


class Redis:
    """The heartbeats of a deployment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *beats: Heartbeat) -> None:
        self.beats = {each.name: each for each in beats}
        monkeypatch.setattr(time, "time", lambda: NOW / 1000)
        for module in (log, hosts):
            monkeypatch.setattr(module, "heartbeats_by_host", lambda _: dict(self.beats))
        monkeypatch.setattr(hosts, "feature_store", self.client)

    @contextmanager
    def client(self, _: Settings) -> Iterator[Redis]:
        yield self

    def hdel(self, _: str, *names: str) -> None:
        for name in names:
            del self.beats[name]


def test_a_pod_that_was_replaced_delays_no_erasure(monkeypatch: pytest.MonkeyPatch) -> None:
    old = [beat("listeners@pod-1", state=STOPPED), beat("listeners@pod-2", SILENT)]
    Redis(monkeypatch, *old, beat("listeners@pod-3", known=8))
    assert log._missing(Settings(), PLACE, 7, ("listeners",)) == ([], 1)
    assert log._missing(Settings(), PLACE, 8, ("listeners",)) == (["listeners@pod-3"], 1)


def test_a_worker_of_which_no_process_runs_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    Redis(monkeypatch, beat("listeners@pod-1", SILENT, known=8))
    assert log._missing(Settings(), PLACE, 7, ("listeners",)) == (["listeners"], 0)


def test_an_erasure_goes_on_without_a_learner_whose_host_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redis = Redis(monkeypatch, beat("learner@a", known=8), beat("learner@gone", SILENT, STOPPED))
    with pytest.raises(StoreUnavailable, match=r"learner@gone.*segue hosts forget HOST"):
        log._wait_for(Settings(), PLACE, 7, 0.0, ("learner",))
    assert [each.awaited for each in hosts.processes(Settings())] == [True, True]
    assert hosts.forget(Settings(), "gone") == ["learner"]
    assert set(redis.beats) == {"learner@a"}
    assert log._wait_for(Settings(), PLACE, 7, 0.0, ("learner",)) == 1


@pytest.mark.parametrize("host", ["a", "unknown", ""])
def test_a_host_that_reports_or_is_unknown_cannot_be_forgotten(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    redis = Redis(monkeypatch, beat("learner@a"), beat("listeners@a", SILENT), beat("learner"))
    with pytest.raises(ConfigurationError):
        hosts.forget(Settings(), host)
    assert len(redis.beats) == 3


@pytest.mark.parametrize("error", [BrokerUnavailable, StoreUnavailable, ConfigurationError])
def test_a_dependency_that_is_away_makes_one_request_wait(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    waiting: list[str] = []
    monkeypatch.setattr(requests, "wait", lambda _, request, why: waiting.append(why))
    work = Work(Settings(), None, actor="a", origin="o")  # type: ignore[arg-type]

    def fails(_: object) -> None:
        raise error("Kafka does not answer")

    monkeypatch.setattr(work, "_remove", fails)

    class Asked:
        id = "1"

    assert work.run([Asked()]) == 0  # type: ignore[list-item]
    assert waiting == ["Kafka does not answer"]
