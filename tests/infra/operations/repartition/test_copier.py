"""A broker that is away ends a copy with one error."""

from __future__ import annotations

import pytest

from contracts import kafka
from contracts.errors import BrokerUnavailable
from contracts.settings import Settings
from contracts.topics import Topics
from infra.operations.repartition import copier
from infra.operations.repartition.copier import Copier
from infra.operations.repartition.origins import Origin
from infra.operations.repartition.run import repartition

AWAY = Settings(kafka="127.0.0.1:1", partitions=2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier, "_PATIENCE", 0.5)
    monkeypatch.setattr(copier, "_MOST", 3)


PLAYS = Topics("new").plays


def send(copies: Copier, count: int) -> None:
    for offset in range(count):
        copies.send(PLAYS, 0, b"ada", b"{}", Origin("log", 0, offset))


@pytest.mark.usefixtures("impatient")
def test_the_first_copy_of_a_partition_is_waited_for() -> None:
    with Copier(AWAY) as copies, pytest.raises(BrokerUnavailable, match="no copy was ackno"):
        send(copies, 1)


@pytest.mark.usefixtures("impatient")
def test_copies_that_nobody_acknowledges_end_the_run() -> None:
    with Copier(AWAY) as copies:
        copies._begun.add((PLAYS, 0))
        send(copies, 1)
        with pytest.raises(BrokerUnavailable, match=r"copies at 127\.0\.0\.1:1: no copy was ack"):
            copies.settle()


@pytest.mark.usefixtures("impatient")
def test_a_full_queue_waits_for_acknowledgements() -> None:
    with Copier(AWAY) as copies:
        copies._begun.add((PLAYS, 0))
        send(copies, 3)
        with pytest.raises(BrokerUnavailable, match="no copy was ackno"):
            send(copies, 1)


def test_a_broker_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "_TIMEOUT", 0.5)
    with pytest.raises(BrokerUnavailable, match=r"Kafka at 127\.0\.0\.1:1"):
        repartition(AWAY, "new", 4)
