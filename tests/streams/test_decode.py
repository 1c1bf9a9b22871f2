from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.erased import Erased
from contracts.erasures import Erasure, listener_key
from contracts.events import Feedback, encode
from contracts.ids import partition_of
from contracts.impressions import Impression
from contracts.impressions import encode as encode_impression
from contracts.topics import Kind
from streams.decode import Batch, Decoder, Record
from tests.streams.plays import submission

DECODER = Decoder(Erased(), 1)


def one(value: bytes | None, partitions: int = 1, partition: int = 0) -> Batch[object]:
    batch: Batch[object] = Decoder(Erased(), partitions).plays(  # type: ignore[assignment]
        [Record(5, value)], partition=partition, start=5
    )
    return batch


def test_good_and_bad_messages_keep_their_places() -> None:
    records = [Record(i, encode(submission("ada", (i, i)))) for i in range(4)]
    records[2] = Record(2, b"{")
    batch = DECODER.plays(records, partition=0, start=0)
    assert [offset for offset, _ in batch.messages] == [0, 1, 3]
    assert [(r.record.offset, r.error.reason) for r in batch.rejected] == [(2, "bad-json")]
    assert (batch.first, batch.last) == (0, 3)


def test_the_part_after_an_offset() -> None:
    records = [Record(i, encode(submission("ada", (i, i))) if i != 7 else b"") for i in range(4, 9)]
    batch = DECODER.plays(records, partition=0, start=4).after(6)
    assert [offset for offset, _ in batch.messages] == [8]
    assert [r.record.offset for r in batch.rejected] == [7]
    assert (batch.start, batch.first, batch.last) == (7, 7, 8)
    assert batch.after(8).first > batch.after(8).last


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"played_at": -1}, "bad-schema"),
        ({"played_at": 2**32 * 1000}, "bad-schema"),
        ({"received_at": 2**60}, "bad-schema"),
        ({"event_id": "no uuid"}, "bad-schema"),
        ({"ms_played": 2**64}, "bad-schema"),
    ],
)
def test_what_no_store_could_hold_is_refused(changes: dict[str, object], reason: str) -> None:
    value = encode(submission("ada", (1, 1), **changes))
    assert one(value).rejected[0].error.reason == reason


def test_a_message_on_a_strange_partition_is_refused() -> None:
    home = partition_of("ada", 4)
    value = encode(submission("ada", (1, 1)))
    assert not one(value, 4, home).rejected
    assert one(value, 4, (home + 1) % 4).rejected[0].error.reason == "bad-partition"


@pytest.mark.parametrize("user", ["", "a\0b", "x" * 257])
def test_impossible_users_are_refused(user: str) -> None:
    assert one(encode(submission(user, (1, 1)))).rejected[0].error.reason == "bad-schema"


def feedback(**changes: object) -> Batch[Feedback]:
    fields = {"user_id": "ada", "kind": "love", "at": 1, "source": "t", "artist": "A", "title": "T"}
    value = encode(Feedback(**{**fields, **changes}))  # type: ignore[arg-type]
    return DECODER.feedback([Record(0, value)], partition=0, start=0)


def test_feedback_must_say_something_known_of_a_named_track() -> None:
    assert not feedback().rejected
    assert feedback(kind="adore").rejected[0].error.reason == "bad-schema"
    assert feedback(title="").rejected[0].error.reason == "bad-schema"
    assert feedback(version=2).rejected[0].error.reason == "bad-version"


def impression(**changes: object) -> Batch[Impression]:
    fields = {
        "impression_id": "00000000-0000-4000-8000-000000000000",
        "user_id": "ada",
        "at": 1,
        "generation": 1,
        "offset": 7,
        "tracks": ["t"],
        "numbers": np.ones(3, np.float32).tobytes(),
    }
    value = encode_impression(Impression(**{**fields, **changes}))  # type: ignore[arg-type]
    return DECODER.impressions([Record(0, value)], partition=0, start=0)


def test_an_impression_of_an_erased_listener_is_left_out() -> None:
    erased = Erased()
    erased.logs = {Kind.IMPRESSIONS: "log"}
    erased.add(Erasure(listener=listener_key("ada"), before=0, ends={"log": [1]}))
    fields = {"at": 1, "generation": 1, "offset": 7, "tracks": ["t"]}
    values = [
        encode_impression(
            Impression(
                impression_id=f"00000000-0000-4000-8000-00000000000{n}",
                user_id=user,
                numbers=np.ones(3, np.float32).tobytes(),
                **fields,  # type: ignore[arg-type]
            )
        )
        for n, user in enumerate(["ada", "eve", "ada"])
    ]
    records = [Record(n, value) for n, value in enumerate(values)]
    batch = Decoder(erased, 1).impressions(records, partition=0, start=0)
    # Eve's stays, and so does what Ada saw when she had come back.
    assert [offset for offset, _ in batch.messages] == [1, 2]
    assert batch.last == 2


def test_impressions_are_checked_before_they_land() -> None:
    assert not impression().rejected
    assert not impression(tracks=[], numbers=b"").rejected
    assert impression(numbers=b"").rejected[0].error.reason == "bad-schema"
    assert impression(numbers=bytes(4)).rejected[0].error.reason == "bad-schema"
    assert impression(numbers=bytes(13)).rejected[0].error.reason == "bad-schema"
    assert impression(impression_id="7").rejected[0].error.reason == "bad-schema"
    assert impression(at=-1).rejected[0].error.reason == "bad-schema"
    assert impression(offset=2**63).rejected[0].error.reason == "bad-schema"
    assert impression(version=3).rejected[0].error.reason == "bad-version"


def of_version_1(shown: str, more: str = "") -> Batch[Impression]:
    old = (
        '{"impression_id":"00000000-0000-4000-8000-000000000000","user_id":"ada","at":1,'
        f'"generation":1,"offset":7,"shown":{shown}{more}}}'
    )
    return DECODER.impressions([Record(0, old.encode())], partition=0, start=0)


def test_an_impression_of_before_propensities_was_not_left_to_chance() -> None:
    (seen,) = [m for _, m in of_version_1('[["t",0.5,[1.0]]]').messages]
    assert (seen.tracks, seen.matrix().tolist()) == (["t"], [[0.5, 1.0, 1.0]])


def test_impressions_of_version_1_are_still_read() -> None:
    two = '[["t",0.5,[0.25,2],0.75],["u",-1,[0,1]]]'
    (seen,) = [m for _, m in of_version_1(two, ',"mode":"discover","version":1').messages]
    assert (seen.tracks, seen.mode, seen.offset) == (["t", "u"], "discover", 7)
    assert seen.matrix().tolist() == [[0.5, 0.75, 0.25, 2.0], [-1.0, 1.0, 0.0, 1.0]]
    assert of_version_1("[]").messages[0][1].matrix().shape == (0, 2)
    assert of_version_1(two, ',"version":2').rejected[0].error.reason == "bad-version"
    uneven = '[["t",0.5,[1.0]],["u",1,[]]]'
    assert of_version_1(uneven).rejected[0].error.reason == "bad-schema"


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise(value: bytes) -> None:
    records = [Record(0, value)]
    assert len(DECODER.plays(records, partition=0, start=0).rejected) == 1
    assert len(DECODER.feedback(records, partition=0, start=0).rejected) == 1
    assert len(DECODER.impressions(records, partition=0, start=0).rejected) == 1


def test_nested_json_bombs_are_refused() -> None:
    bomb = b'{"user_id":"ada","plays":' + b"[" * 100_000
    assert len(one(bomb).rejected) == 1
    deep = b'{"user_id":"ada","plays":[{"extra":' + b'{"a":' * 5000
    assert len(one(deep).rejected) == 1
