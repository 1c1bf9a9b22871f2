"""Messages as rows of the lake: every field in its column, every place once."""

from __future__ import annotations

from typing import Any

from contracts.events import Feedback, Impression, Shown
from contracts.lake import TABLES
from streams.decode import Batch
from streams.lake_rows import MAKERS, to_table
from tests.streams.plays import submission

_AT = 1_741_000_000_000


def _batch(*messages: Any) -> Batch[Any]:
    return Batch(2, 10, 10, 9 + len(messages), list(enumerate(messages, 10)), [])


def _shown(*tracks: str, **changes: Any) -> Impression:
    shown = [Shown(track_id=t, score=1.5, features=[0.25], propensity=0.5) for t in tracks]
    fields: dict[str, Any] = {"generation": 3, "offset": 99, "at": _AT, "shown": shown} | changes
    return Impression(impression_id=f"id {'-'.join(tracks)}", user_id="ada", **fields)


def test_every_table_of_the_contract_has_a_maker() -> None:
    assert {name: schema for name, (schema, _) in MAKERS.items()} == TABLES


def test_a_list_is_a_row_for_each_track_in_its_order() -> None:
    table = to_table("impressions", [_batch(_shown("a", "b"), _shown("c"))], "log", _AT)
    assert table.schema == TABLES["impressions"]
    rows = table.to_pylist()
    assert [(r["kafka_offset"], r["position"], r["track_id"]) for r in rows] == [
        (10, 0, "a"),
        (10, 1, "b"),
        (11, 0, "c"),
    ]
    assert {(r["propensity"], r["score"], tuple(r["features"])) for r in rows} == {
        (0.5, 1.5, (0.25,))
    }
    assert {(r["log_offset"], r["generation"], r["arm"], r["mode"]) for r in rows} == {
        (99, 3, "default", "next")
    }


def test_a_list_that_showed_nothing_is_not_lost() -> None:
    (row,) = to_table("impressions", [_batch(_shown())], "log", _AT).to_pylist()
    assert (row["position"], row["track_id"], row["degraded"]) == (-1, None, False)


def test_feedback_is_one_row() -> None:
    love = Feedback(user_id="ada", kind="love", at=_AT, source="s", artist="Air", title="One")
    (row,) = to_table("feedback", [_batch(love)], "log", _AT).to_pylist()
    assert (row["kind"], row["artist"], row["track_id"]) == ("love", "Air", "")
    assert (row["kafka_partition"], row["kafka_offset"], row["position"]) == (2, 10, 0)


def test_plays_keep_what_else_the_client_sent() -> None:
    odd = submission("ada", (1, 1), (2, 2), extra={"a": [1, None]})
    table = to_table("plays", [_batch(odd)], "log", _AT)
    assert table.schema == TABLES["plays"]
    assert table["extra"].to_pylist() == ['{"a":[1,null]}'] * 2
    assert table["position"].to_pylist() == [0, 1]
    assert table["user_id"].to_pylist() == ["ada", "ada"]
