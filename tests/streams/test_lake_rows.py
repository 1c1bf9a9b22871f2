"""Messages as rows of the lake: every field in its column, every place once."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.events import Feedback
from contracts.impressions import Impression, pack
from contracts.lake import RESULTS, TABLES
from streams.decode import Batch
from streams.lake_rows import MAKERS, to_table
from tests.streams.plays import submission

_AT = 1_741_000_000_000


def _batch(*messages: Any) -> Batch[Any]:
    return Batch(2, 10, 10, 9 + len(messages), list(enumerate(messages, 10)), [])


def _shown(*tracks: str, **changes: Any) -> Impression:
    one = np.ones(len(tracks), np.float32)
    fields: dict[str, Any] = {
        "generation": 3,
        "offset": 99,
        "at": _AT,
        "tracks": list(tracks),
        "numbers": pack(1.5 * one, 0.5 * one, 0.25 * one[:, None]),
    } | changes
    return Impression(impression_id=f"id {'-'.join(tracks)}", user_id="ada", **fields)


def test_every_table_of_the_contract_has_a_maker() -> None:
    assert {name: schema for name, (schema, _) in MAKERS.items()} == {**TABLES, **RESULTS}


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


def test_places_of_a_drafted_list_name_the_arm_that_picked_them() -> None:
    both = "other=x;variety=old+new"
    lists = [
        _shown("a", "b", arm=both, teams="10"),
        _shown("c", arm="variety=old"),
        _shown(arm=both, teams=""),
        _shown("d", arm="variety=old+new!"),
    ]
    rows = to_table("impressions", [_batch(*lists)], "log", _AT).to_pylist()
    assert [row["arm"] for row in rows] == [
        "other=x;variety=new+",
        "other=x;variety=old+",
        "variety=old",
        both,
        "variety=old+new!",
    ]


def test_a_list_that_showed_nothing_is_not_lost() -> None:
    (row,) = to_table("impressions", [_batch(_shown())], "log", _AT).to_pylist()
    assert (row["position"], row["track_id"], row["degraded"]) == (-1, None, False)
    assert (row["score"], row["propensity"], row["features"]) == (None, None, None)


def test_lists_of_every_length_keep_their_own_numbers() -> None:
    """A model with more features may follow one with fewer in the same flush."""
    wide = Impression(
        impression_id="wide",
        user_id="bob",
        at=_AT + 1,
        generation=4,
        offset=100,
        tracks=["x", "y"],
        numbers=np.arange(10, dtype=np.float32).tobytes(),
        mode="discover",
        degraded=True,
    )
    batches = [_batch(_shown("a"), _shown(), wide), Batch(3, 5, 5, 5, [(5, _shown("b"))], [])]
    rows = to_table("impressions", batches, "log", _AT).to_pylist()
    assert [
        (r["kafka_partition"], r["kafka_offset"], r["position"], r["track_id"], r["features"])
        for r in rows
    ] == [
        (2, 10, 0, "a", [0.25]),
        (2, 11, -1, None, None),
        (2, 12, 0, "x", [2.0, 3.0, 4.0]),
        (2, 12, 1, "y", [7.0, 8.0, 9.0]),
        (3, 5, 0, "b", [0.25]),
    ]
    assert [(r["score"], r["propensity"]) for r in rows[2:4]] == [(0.0, 1.0), (5.0, 6.0)]
    assert [r["user_id"] for r in rows] == ["ada", "ada", "bob", "bob", "ada"]
    assert (rows[2]["mode"], rows[2]["degraded"], rows[2]["generation"]) == ("discover", True, 4)
    assert rows[2]["shown_at"].timestamp() * 1000 == _AT + 1
    assert {r["log_id"] for r in rows} == {"log"}


def test_a_flush_of_refused_messages_makes_no_row() -> None:
    for table in TABLES:
        assert to_table(table, [_batch()], "log", _AT) == TABLES[table].empty_table()


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
