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
from streams.decode import ROWS, Batch, Decoder, Record
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


def refusal(value: bytes | None, partitions: int = 1) -> str:
    """Return why a message of ``plays`` is refused; empty if it is not."""
    rejected = one(value, partitions).rejected
    return str(rejected[0].error) if rejected else ""


ID = "00000000-0000-4000-8000-00000000000a"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"played_at": 0}, ""),
        ({"played_at": -1}, "played_at -1 is not a time between 1970 and 2106"),
        ({"played_at": 2**32 * 1000 - 1}, ""),
        (
            {"played_at": 2**32 * 1000},
            "played_at 4294967296000 is not a time between 1970 and 2106",
        ),
        ({"received_at": 0}, ""),
        ({"received_at": -1}, "received_at -1 is not a time in milliseconds"),
        ({"received_at": 253_402_300_799_999}, ""),
        (
            {"received_at": 253_402_300_800_000},
            "received_at 253402300800000 is not a time in milliseconds",
        ),
        ({"event_id": ID.upper()}, ""),
        ({"event_id": ID + "0"}, f"event_id '{ID}0' is not a UUID"),
        ({"event_id": "x" * 99}, f"event_id '{'x' * 60}' is not a UUID"),
        ({"ms_played": 2**63 - 1, "duration_ms": 1 - 2**63}, ""),
        ({"ms_played": 1 - 2**63, "duration_ms": 2**63 - 1}, ""),
        ({"ms_played": -(2**63)}, "ms_played and duration_ms must fit 64 bits"),
        ({"duration_ms": -(2**63)}, "ms_played and duration_ms must fit 64 bits"),
        ({"ms_played": 2**63}, "ms_played and duration_ms must fit 64 bits"),
        ({"duration_ms": 2**63}, "ms_played and duration_ms must fit 64 bits"),
    ],
)
def test_the_bounds_of_a_play_and_the_words_of_a_refusal(
    changes: dict[str, object], words: str
) -> None:
    assert refusal(encode(submission("ada", (1, 1), **changes))) == words


@pytest.mark.parametrize(
    ("user", "good"), [("x", True), ("x" * 256, True), ("x" * 257, False), ("\0", False)]
)
def test_the_bounds_of_a_listener_s_name(user: str, good: bool) -> None:
    words = "" if good else "user_id must have 1 to 256 characters, none of them NUL"
    assert refusal(encode(submission(user, (1, 1)))) == words


def test_a_strange_partition_is_named_with_the_right_one() -> None:
    home = partition_of("ada", 4)
    strange = (home + 1) % 4
    (rejected,) = one(encode(submission("ada", (1, 1))), 4, strange).rejected
    assert str(rejected.error) == (
        f"listener 'ada' belongs to partition {home} of 4, not {strange}: "
        "the producer must use contracts.ids.partition_of"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "x" * 70}, f"kind '{'x' * 60}' is not one of hate, hide, love, undo"),
        ({"at": 0}, ""),
        ({"at": -1}, "at -1 is not a time in milliseconds"),
        ({"at": 253_402_300_799_999}, ""),
        ({"at": 253_402_300_800_000}, "at 253402300800000 is not a time in milliseconds"),
        ({"artist": ""}, "feedback of kind love must name artist and title of the track"),
        ({"title": ""}, "feedback of kind love must name artist and title of the track"),
        ({"user_id": ""}, "user_id must have 1 to 256 characters, none of them NUL"),
    ],
)
def test_the_words_of_refused_feedback(changes: dict[str, object], words: str) -> None:
    assert [str(r.error) for r in feedback(**changes).rejected] == ([words] if words else [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"impression_id": "7" * 70}, f"impression_id '{'7' * 60}' is not a UUID"),
        ({"at": 0}, ""),
        ({"at": -1}, "at -1 is not a time in milliseconds"),
        ({"at": 253_402_300_799_999}, ""),
        ({"at": 253_402_300_800_000}, "at 253402300800000 is not a time in milliseconds"),
        ({"generation": 2**63 - 1, "offset": 1 - 2**63}, ""),
        ({"generation": 1 - 2**63, "offset": 2**63 - 1}, ""),
        ({"generation": 2**63}, "generation and offset must fit 64 bits"),
        ({"generation": -(2**63)}, "generation and offset must fit 64 bits"),
        ({"offset": -(2**63)}, "generation and offset must fit 64 bits"),
        ({"user_id": "a\0"}, "user_id must have 1 to 256 characters, none of them NUL"),
    ],
)
def test_the_words_of_a_refused_impression(changes: dict[str, object], words: str) -> None:
    assert [str(r.error) for r in impression(**changes).rejected] == ([words] if words else [])


#: A good message of each kind of topic, whose listener (if it names one) is ``ada``.
MESSAGES: dict[Kind, bytes] = {
    Kind.PLAYS: encode(submission("ada", (1, 1), received_at=5)),
    Kind.FEEDBACK: encode(
        Feedback(user_id="ada", kind="love", at=5, source="t", artist="A", title="T")
    ),
    Kind.IMPRESSIONS: encode_impression(
        Impression(
            impression_id=ID, user_id="ada", at=5, generation=1, offset=7, tracks=["t"],
            numbers=np.ones(3, np.float32).tobytes(),
        )
    ),
    Kind.TRENDING: b'{"kind":"tracks","window":"1h","window_start":0,"window_end":3600000,'
    b'"places":[]}',
    Kind.SESSIONS: b'{"user_id":"ada","started_at":1,"last_played_at":5,"plays":2,"tracks":2}',
    Kind.UNIQUES: b'{"hour":0,"track_id":"t","listeners":1,"plays":1}',
    Kind.SUSPECTS: b'{"user_id":"ada","pattern":"too-fast","started_at":1,"ended_at":5,"plays":6}',
}  # fmt: skip


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_kind_of_topic_has_its_decoder(kind: Kind) -> None:
    """Good messages pass, bad ones are named, erased ones are left out, all by their place."""
    decode = DECODER.of(kind)
    records = [Record(8, MESSAGES[kind]), Record(9, b"{"), Record(11, MESSAGES[kind])]
    batch = decode(records, partition=0, start=7)
    assert [offset for offset, _ in batch.messages] == [8, 11]
    assert [r.record.offset for r in batch.rejected] == [9]
    assert (batch.partition, batch.start, batch.first, batch.last) == (0, 7, 8, 11)
    assert ROWS[kind](batch.messages[0][1]) == 1

    nothing = decode([], partition=0, start=7)
    assert (nothing.messages, nothing.rejected) == ([], [])
    assert (nothing.start, nothing.first, nothing.last) == (7, 7, 6)

    erased = Erased()
    erased.logs = {kind: "log"}
    erased.add(Erasure(listener=listener_key("ada"), before=0, ends={"log": [10]}))
    left = Decoder(erased, 1).of(kind)(records, partition=0, start=7).messages
    names_nobody = kind in (Kind.TRENDING, Kind.UNIQUES)
    assert [offset for offset, _ in left] == ([8, 11] if names_nobody else [11])


@pytest.mark.parametrize("kind", sorted(set(MESSAGES) - {Kind.TRENDING, Kind.UNIQUES}))
def test_on_another_log_the_time_decides_what_is_erased(kind: Kind) -> None:
    for before, kept in ((5, 0), (4, 1)):
        erased = Erased()
        erased.add(Erasure(listener=listener_key("ada"), before=before))
        records = [Record(0, MESSAGES[kind])]
        batch = Decoder(erased, 1).of(kind)(records, partition=0, start=0)
        assert len(batch.messages) == kept


def test_an_empty_part_of_a_batch_still_ends_where_the_batch_does() -> None:
    records = [Record(i, encode(submission("ada", (i, i)))) for i in (4, 5)]
    batch = DECODER.plays(records, partition=0, start=4)
    assert batch.after(3) == batch
    rest = batch.after(5)
    assert (rest.partition, rest.messages, rest.start, rest.last) == (0, [], 6, 5)


def test_an_impression_has_a_row_for_each_track_and_one_for_none() -> None:
    ((_, seen),) = impression(tracks=["t", "u"], numbers=np.ones(6, np.float32).tobytes()).messages
    ((_, empty),) = impression(tracks=[], numbers=b"").messages
    assert (ROWS[Kind.IMPRESSIONS](seen), ROWS[Kind.IMPRESSIONS](empty)) == (2, 1)
    assert ROWS[Kind.PLAYS](submission("ada", (1, 1), (2, 2))) == 2
