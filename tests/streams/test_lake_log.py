"""The lake's rows as the log: in order, in slices, and with nothing but what the lake holds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deltalake import DeltaTable

from contracts.errors import StoreUnavailable
from contracts.events import Feedback, Submission, encode
from contracts.lake_tables import TablePlace
from contracts.topics import Kind
from streams import lake_log
from streams.decode import Absent, Batch, Record
from streams.lake_log import LakeLog
from streams.lake_sink import LakeSink
from tests.streams.plays import play, submission

LOG = "log"


def put(
    place: TablePlace,
    partition: int,
    start: int,
    *messages: Any,
    lost_to: int = 0,
    log_id: str = LOG,
) -> None:
    """Have the sink write messages from an offset on; ``None`` was refused."""
    last = start + len(messages) - 1
    good = [(start + i, message) for i, message in enumerate(messages) if message is not None]
    sink = LakeSink[Any](place, log_id, 2)
    standing = sink.positions()[partition]
    sink.write([Batch(partition, standing, start, last, good, [], lost_to)])


def opened(place: TablePlace, log_id: str = LOG, kind: Kind = Kind.PLAYS) -> LakeLog:
    table = place.open()
    assert table is not None
    return LakeLog(table, place, kind, log_id)


def messages(place: TablePlace, wanted: dict[int, range]) -> dict[int, list[Record]]:
    """Read ranges to their end, slice by slice."""
    found: dict[int, list[Record]] = {p: [] for p in wanted}
    while wanted := {p: each for p, each in wanted.items() if each}:
        for p, records in opened(place).next_slice(wanted).items():
            assert records[0].offset >= wanted[p].start
            found[p] += records
            wanted[p] = range(records[-1].offset + 1, wanted[p].stop)
    return found


@pytest.fixture
def place(tmp_path: Path) -> TablePlace:
    return TablePlace.in_folder(tmp_path / "plays")


def test_messages_come_back_byte_for_byte_in_the_order_of_the_log(
    place: TablePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    rich = play(
        "ada", 1, 1, album="A", ms_played=5, duration_ms=9, skipped=False, reason_end="end",
        session_hint="s", impression_id="i", extra={"a": [1, None, {"ü": 0.5}]},
    )  # fmt: skip
    sent: dict[int, list[Submission]] = {0: [Submission(user_id="ada", plays=[rich])], 1: []}
    for number in range(60):
        marks = ((number * 10 + i, number) for i in range(chance.choice([1, 1, 3])))
        sent[number % 2].append(submission(f"user {number}", *marks))
    for start in range(0, 31, 7):  # commits of the two partitions interleave
        for p in (1, 0):
            if part := sent[p][start : start + 7]:
                put(place, p, start, *part)
    DeltaTable(place.uri).optimize.compact()
    expected = {
        p: [Record(i, encode(s), s.user_id.encode()) for i, s in enumerate(each)]
        for p, each in sent.items()
    }
    whole = {p: range(len(each)) for p, each in sent.items()}
    assert messages(place, whole) == expected
    monkeypatch.setattr(lake_log, "SLICE_ROWS", 10)
    first = opened(place).next_slice(whole)
    assert all(0 < len(records) < 12 for records in first.values()), "together, a share of each"
    assert messages(place, whole) == expected
    assert messages(place, {0: range(3, 5)})[0] == expected[0][3:5]


def test_feedback_comes_back_too(tmp_path: Path) -> None:
    place = TablePlace.in_folder(tmp_path / "feedback")
    love = Feedback(user_id="ada", kind="love", at=7, source="t", artist="A", title="T")
    hide = msgspec.structs.replace(love, kind="hide", track_id="x")
    put(place, 1, 0, love, hide)
    records = opened(place, kind=Kind.FEEDBACK).next_slice({1: range(2)})
    assert records == {1: [Record(0, encode(love), b"ada"), Record(1, encode(hide), b"ada")]}


def test_refused_and_erased_messages_have_no_record_but_are_passed(place: TablePlace) -> None:
    sent = [submission("ada", (1, 1)), None, submission("bob", (2, 2), (3, 3)), None, None]
    put(place, 0, 0, *sent)
    first, second, last = messages(place, {0: range(5)})[0]
    assert (first.offset, second.offset, last) == (0, 2, Record(4, None, absent=Absent.NO_ROW))
    DeltaTable(place.uri).delete("user_id = 'ada'")
    event = submission("bob", (2, 2)).plays[0].event_id
    DeltaTable(place.uri).delete(f"event_id = '{event}'")
    left = [Record(2, encode(submission("bob", (3, 3))), b"bob"), last]
    assert messages(place, {0: range(5)})[0] == left
    assert messages(place, {0: range(1, 2)})[0] == [Record(1, None, absent=Absent.NO_ROW)]


def test_what_is_held_is_what_the_sink_applied_since_its_last_loss(place: TablePlace) -> None:
    put(place, 0, 0, submission("ada", (1, 1)), None)
    assert opened(place).held(0) == range(2)
    assert opened(place).held(1) == range(0)
    assert opened(place, "another log").held(0) == range(0)
    put(place, 0, 9, submission("ada", (2, 2)), lost_to=9)
    DeltaTable(place.uri).create_checkpoint()
    assert opened(place).held(0) == range(9, 10)


def test_a_file_that_is_gone_is_trouble_that_passes(place: TablePlace) -> None:
    put(place, 0, 0, submission("ada", (1, 1)))
    lake = opened(place)
    for file in Path(place.uri).glob("*/*.parquet"):
        file.unlink()
    with pytest.raises(StoreUnavailable, match="lake table plays"):
        lake.next_slice({0: range(1)})
