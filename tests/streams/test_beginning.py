"""What Kafka has deleted is read from the lake; what the lake lacks too is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.lake_tables import lake_table
from contracts.settings import Settings
from contracts.topics import Kind
from streams.beginning import Beginning, LogCutOff
from streams.decode import Absent, Record
from streams.errors import PositionLost
from streams.worker import Worker
from tests.streams.plays import submission
from tests.streams.test_lake_log import LOG, put


class Case:
    """A worker before a log that begins at some offsets, and a lake."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.begins = {0: 0, 1: 0}
        monkeypatch.setattr("streams.beginning.begin_offsets", lambda *_: dict(self.begins))

    def land(self, partition: int, start: int, stop: int, *, lost_to: int = 0) -> None:
        place = lake_table(Settings(home=self.home), "plays")
        sent = [submission("ada", (offset, offset)) for offset in range(start, stop)]
        put(place, partition, start, *sent, lost_to=lost_to)

    def beginning(
        self, worker: str = "listeners", kind: Kind = Kind.PLAYS, *, accept: bool = False
    ) -> Beginning:
        settings = Settings(
            home=self.home, kafka="127.0.0.1:1", partitions=2, accept_cut_log=accept
        )
        self.worker = Worker(settings, worker)
        return Beginning(self.worker, self.worker.topics.of(kind), LOG)

    def read(self, beginning: Beginning, positions: dict[int, int]) -> dict[int, list[Record]]:
        """Read to Kafka's beginning, as a fold does."""
        found: dict[int, list[Record]] = {p: [] for p in positions}
        while records := beginning.next_records(positions):
            for p, each in records.items():
                assert each[0].offset >= positions[p]
                found[p] += each
                positions = positions | {p: each[-1].offset + 1}
        return found


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(tmp_path, monkeypatch)


def offsets(records: list[Record]) -> list[int]:
    return [record.offset for record in records]


def test_a_log_that_holds_the_next_message_needs_no_lake(case: Case) -> None:
    case.begins = {0: 3, 1: 0}
    assert case.beginning().next_records({0: 3, 1: 7}) == {}
    case.beginning().check({0: 3, 1: 7})


def test_the_lake_gives_what_lies_before_the_log(case: Case) -> None:
    case.land(0, 0, 9)
    case.land(1, 0, 4)
    case.begins = {0: 6, 1: 2}
    found = case.read(case.beginning(), {0: 2, 1: 3})
    assert {p: offsets(each) for p, each in found.items()} == {0: [2, 3, 4, 5], 1: []}
    assert case.worker.status.counters == {"from_lake": 4}


def test_a_log_that_is_cut_further_meanwhile_is_read_on_from_the_lake(case: Case) -> None:
    case.land(0, 0, 9)
    case.begins[0] = 3
    beginning = case.beginning()
    assert offsets(beginning.next_records({0: 0})[0]) == [0, 1, 2]
    case.begins[0] = 5
    assert offsets(beginning.next_records({0: 3})[0]) == [3, 4]
    with pytest.raises(PositionLost, match=r"plays: Kafka has deleted offsets 3 to 4 of partition"):
        beginning.check({0: 3})


@pytest.mark.parametrize(
    ("landed", "lost_to", "lost"),
    [
        (None, 0, "offsets 0 to 5 of partition 0"),
        ((0, 4), 0, "offsets 4 to 5 of partition 0"),
        ((3, 9), 3, "offsets 0 to 2 of partition 0"),
        ((2, 5), 2, "offsets 0 to 1 of partition 0, offsets 5 to 5 of partition 0"),
    ],
)
def test_what_the_lake_lacks_as_well_is_named_and_can_be_accepted(
    case: Case, landed: tuple[int, int] | None, lost_to: int, lost: str
) -> None:
    if landed:
        case.land(0, *landed, lost_to=lost_to)
    case.begins[0] = 6
    with pytest.raises(LogCutOff, match=f"listeners needs {lost}, but Kafka .* SEGUE_ACCEPT_CUT"):
        case.beginning().next_records({0: 0, 1: 0})
    found = case.read(case.beginning(accept=True), {0: 0})[0]
    held = range(*(landed or (0, 0)))
    assert [r.offset for r in found if not r.absent] == [o for o in held if o < 6]
    assert found[-1].offset == 5, "the fold moves to where Kafka begins"
    assert case.worker.status.counters["messages_lost"] == 6 - len([o for o in held if o < 6])


def test_the_lake_sink_does_not_read_its_own_table(case: Case) -> None:
    case.land(0, 0, 4)
    case.begins[0] = 6
    with pytest.raises(
        LogCutOff, match=r"lake-sink needs offsets 4 to 5 .* Kafka has deleted them"
    ):
        case.beginning("lake-sink").next_records({0: 4})


def test_impressions_are_kept_for_a_while_by_design(case: Case) -> None:
    case.begins[0] = 6
    found = case.beginning("lake-sink", Kind.IMPRESSIONS).next_records({0: 4})
    assert found == {0: [Record(5, None, absent=Absent.LOST)]}
