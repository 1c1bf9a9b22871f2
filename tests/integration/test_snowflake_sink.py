"""The sink in this process against the emulated Snowflake: what fails, what it does about it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.events import Submission
from contracts.retries import Backoff
from streams.decode import Batch
from streams.errors import PositionLost
from streams.snowflake_sink import landing as landing_module
from streams.snowflake_sink.landing import Landing, Outcome
from streams.snowflake_sink.pipe import Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.sink import SnowflakeSink
from streams.snowflake_sink.stage import Stage
from streams.worker import Stopped
from tests.snowflake_emulator.deployment import Deployment, deployed
from tests.streams.plays import submission

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("snowflake")) as deployment:
        yield deployment


@dataclass
class Landed:
    """A sink on a log of its own, and its output."""

    sink: SnowflakeSink[Submission]
    stopping: threading.Event
    outcomes: list[Outcome] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        return [file.name for file in self.sink.stage.files("t.plays", self.sink.log_id)]


def make(snowflake: Deployment, log_id: str) -> Landed:
    stopping = threading.Event()
    remote = Remote(stopping, limit=20)
    stage = Stage(snowflake.loader, remote, "plays")
    landing = Landing(stage, Pipe(snowflake.loader, remote, "plays"), remote, silence=0.5)
    made: Landed

    def landed(outcome: Outcome, positions: dict[int, int]) -> None:
        made.outcomes.append(outcome)
        made.positions.update(positions)

    made = Landed(
        SnowflakeSink(
            stage, landing, "t.plays", log_id, "plays", 2, lambda s: len(s.plays), landed
        ),
        stopping,
    )
    return made


@pytest.fixture
def log_id(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
def landed(snowflake: Deployment, log_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Landed]:
    monkeypatch.setattr(landing_module, "PAUSES", Backoff(0.05, 0.05))
    made = make(snowflake, log_id)
    yield made
    snowflake.faults.clear()
    made.sink.stage.close()


def batch(partition: int, start: int, *plays: int) -> Batch[Submission]:
    """One message a count, with so many plays."""
    messages = [
        (start + i, submission("ada", *((start * 1000 + i * 100 + n, n) for n in range(count))))
        for i, count in enumerate(plays)
    ]
    return Batch(partition, start, start, start + max(1, len(plays)) - 1, messages, [])


def rows(snowflake: Deployment, log_id: str) -> list[tuple[Any, ...]]:
    return snowflake.ask(
        "select kafka_partition, kafka_offset, position, file_row, source_file, loaded_at "
        f"from {{db}}.RAW.PLAYS where log_id = '{log_id}' order by 1, 2, 3"
    )


def test_a_flush_is_a_file_for_each_partition(
    landed: Landed, snowflake: Deployment, log_id: str
) -> None:
    assert landed.sink.positions() == {0: 0, 1: 0}
    assert landed.sink.write([batch(0, 0, 2, 1), batch(1, 0, 3)]) == 6
    found = rows(snowflake, log_id)
    assert [row[:4] for row in found] == [
        (0, 0, 0, 1), (0, 0, 1, 2), (0, 1, 0, 3), (1, 0, 0, 1), (1, 0, 1, 2), (1, 0, 2, 3),
    ]  # fmt: skip
    assert all(row[5] is not None for row in found), "Snowpipe records when"
    assert landed.sink.write([batch(0, 2, 4)]) == 4
    assert landed.files == [
        "00000000000000000002-00000000000000000002-4.parquet",
        "00000000000000000000-00000000000000000000-3.parquet",
    ], "a file that a newer one follows is deleted"
    assert landed.sink.positions() == {0: 3, 1: 1} == landed.positions


def test_a_range_without_rows_still_moves_on(landed: Landed, log_id: str) -> None:
    landed.sink.positions()
    assert landed.sink.write([batch(0, 0)]) == 0
    assert landed.sink.positions() == {0: 1, 1: 0}


def test_errors_of_the_services_are_repeated_not_doubled(
    landed: Landed, snowflake: Deployment, log_id: str
) -> None:
    landed.sink.positions()
    for point in ("upload:after", "insertFiles:after", "insertReport:before"):
        snowflake.faults.fail(point)
    snowflake.faults.slow("insertReport:after", 0.3)
    assert landed.sink.write([batch(0, 0, 5)]) == 5
    assert len(rows(snowflake, log_id)) == 5


def test_a_load_that_fails_is_tried_again(
    landed: Landed, snowflake: Deployment, log_id: str
) -> None:
    landed.sink.positions()
    snowflake.faults.break_loads(f"{log_id}/p0000", times=2)
    assert landed.sink.write([batch(0, 0, 2), batch(1, 0, 2)]) == 4
    assert (landed.outcomes[-1].retries, landed.outcomes[-1].quarantined) == (2, 0)
    assert len(rows(snowflake, log_id)) == 4


def test_a_file_that_never_loads_is_set_aside_with_its_reason_and_may_be_replayed(
    landed: Landed, snowflake: Deployment, log_id: str
) -> None:
    landed.sink.positions()
    snowflake.faults.break_loads(f"{log_id}/p0000", times=3)
    assert landed.sink.write([batch(0, 0, 2), batch(1, 0, 2)]) == 2
    assert landed.outcomes[-1].quarantined == 1
    mine = {f: why for f, why in landed.sink.stage.quarantined().items() if f.log_id == log_id}
    assert [(f.partition, f.rows, why) for f, why in mine.items()] == [
        (0, 2, "Numeric value 'x' is not recognized")
    ]
    assert landed.sink.write([batch(0, 1, 1)]) == 1, "what follows is not held up"
    again = make(snowflake, log_id)
    assert again.sink.positions() == {0: 2, 1: 1}, "the next process leaves it aside too"
    assert len(rows(snowflake, log_id)) == 3

    assert again.sink.landing.replay() == Outcome(rows=2)
    assert len(rows(snowflake, log_id)) == 5
    assert not [f for f in landed.sink.stage.quarantined() if f.log_id == log_id]
    again.sink.stage.close()


def test_a_lost_report_is_no_loss(landed: Landed, snowflake: Deployment, log_id: str) -> None:
    landed.sink.positions()
    snowflake.faults.lose_reports(log_id)
    assert landed.sink.write([batch(0, 0, 2)]) == 2
    assert len(rows(snowflake, log_id)) == 2


def test_another_sink_is_noticed(landed: Landed, snowflake: Deployment, log_id: str) -> None:
    other = make(snowflake, log_id)
    for sink in (landed.sink, other.sink):
        sink.positions()
    landed.sink.write([batch(0, 0, 1, 1)])
    with pytest.raises(PositionLost, match="another sink"):
        other.sink.write([batch(0, 0, 1)])
    assert other.sink.write([batch(0, 0, 1, 1)]) == 2, "the same range is the same file"
    assert len(rows(snowflake, log_id)) == 2
    other.sink.stage.close()


def test_stopping_does_not_wait_for_snowpipe(
    landed: Landed, snowflake: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.snowflake_sink.remote.GRACE", 0.2)
    landed.sink.positions()
    snowflake.faults.hold("load:before")
    threading.Timer(0.3, landed.stopping.set).start()
    with pytest.raises(Stopped):
        landed.sink.write([batch(0, 0, 1)])


def test_what_snowflake_refuses_says_what_to_do(snowflake: Deployment) -> None:
    remote = Remote(threading.Event())
    nowhere = Stage(replace(snowflake.loader, database="NOWHERE"), remote, "plays")
    with pytest.raises(ConfigurationError, match="segue snowflake apply"):
        nowhere.quarantined()
    stranger = replace(snowflake.loader, user="STRANGER")
    with pytest.raises(ConfigurationError, match="JWT"):
        Stage(stranger, remote, "plays").files("t", "l")
    with pytest.raises(ConfigurationError, match="401"):
        Pipe(stranger, remote, "plays").reports()
    with pytest.raises(ConfigurationError, match="404"):
        Pipe(snowflake.loader, remote, "nothing").reports()
    with pytest.raises(ConfigurationError, match="PRIVATE_KEY"):
        Pipe(replace(snowflake.loader, private_key="no key"), remote, "plays")
    away = Stage(replace(snowflake.loader, port=1), Remote(threading.Event(), 1.0), "plays")
    with pytest.raises(StoreUnavailable):
        away.files("t", "l")


def test_the_account_is_what_the_scripts_say(snowflake: Deployment, tmp_path: Path) -> None:
    account, db = snowflake.emulator.account, snowflake.admin.database
    assert {f"{db}.RAW.{t}_PIPE" for t in ("PLAYS", "FEEDBACK", "IMPRESSIONS")} <= set(
        account.pipes
    )
    assert account.masked[f"{db}.RAW.PLAYS.USER_ID"] == f"{db}.GOVERNANCE.LISTENER"
    for size in ("LOAD", "TRANSFORM", "ANALYSE"):
        warehouse = account.objects["WAREHOUSE"][f"{db}_{size}"]
        assert warehouse["AUTO_SUSPEND"] == "60"
        assert warehouse["RESOURCE_MONITOR"] == f"{db}_MONTHLY"
