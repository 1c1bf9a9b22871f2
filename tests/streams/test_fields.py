"""Each field of a play arrives in each store as itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from contracts.erased import Erased
from contracts.erasures import Erasure, listener_key
from contracts.events import Feedback, Play, Submission
from contracts.features import FLAG_SKIPPED, Listener
from contracts.ids import artist_key, id_key, partition_of, track_key, user_key
from contracts.impressions import Impression, encode, pack
from contracts.topics import Topics
from online_model import ModelConfig, Recommender
from streams.decode import Batch, Decoder, Record
from streams.fold import pack_plays
from streams.history_sink import to_reported
from streams.lake_rows import to_table
from streams.learner import columns, document, learn
from tests.streams.reference import reference_fold

#: A play of which no two fields are equal.
PLAY = Play(
    event_id="0b0e4b2c-7a3e-5f5e-9d8e-0123456789ab",
    track_id="isrc:FRZ039800212",
    artist="Air",
    title="Sexy Boy",
    played_at=1_700_000_001_234,
    received_at=1_700_000_300_567,
    source="navidrome/0.53",
    album="Moon Safari",
    ms_played=60_000,
    duration_ms=240_000,
    skipped=False,
    reason_end="fwdbtn",
    session_hint="s-1",
    impression_id="i-1",
    extra={"isrc": "FRZ039800212"},
)


def batch(*plays: Play, user: str = "ada") -> Batch[Submission]:
    return Batch(3, 40, 41, 41, [(41, Submission(user_id=user, plays=list(plays)))], [])


def changed(**changes: Any) -> Play:
    return msgspec.structs.replace(PLAY, **changes)


def test_model_columns() -> None:
    c = columns(batch(PLAY))
    assert c.users.tolist() == [user_key("ada")]
    assert c.tracks.tolist() == [track_key("Air", "Sexy Boy")]
    assert c.seconds.tolist() == [1_700_000_001]
    assert c.ratios.tolist() == [25]


def test_what_a_client_says_was_skipped_reaches_the_model() -> None:
    unknown: dict[str, Any] = {"ms_played": None, "duration_ms": None}
    plays = [changed(skipped=said, **unknown) for said in (True, False, None)]
    assert columns(batch(*plays)).ratios.tolist() == [10, 100, 255]
    assert columns(batch(changed(ms_played=720_000))).ratios.tolist() == [100]


def test_a_name_that_stands_for_none_teaches_nothing() -> None:
    tagless = [changed(artist="Unknown Artist"), changed(title="<unknown>"), PLAY]
    c = columns(batch(*tagless))
    assert c.plays == [PLAY]
    assert len(c.users) == len(c.tracks) == len(c.seconds) == len(c.ratios) == 1


def test_the_model_knows_track_artist_and_id() -> None:
    model = Recommender(ModelConfig(tracks=64, listeners=8))
    learn(model, batch(PLAY))
    keys = np.array([track_key("Air", "Sexy Boy"), id_key(PLAY.track_id)], np.uint64)
    by_names, by_id = model.lookup(keys).tolist()
    assert by_names == by_id >= 0
    assert int(model.state.artist[by_names]) == artist_key("Air")
    assert model.document(by_names) == document(PLAY)
    assert msgspec.json.decode(document(PLAY)) == {
        "track_id": PLAY.track_id,
        "artist": "Air",
        "title": "Sexy Boy",
    }


def test_the_feature_blob() -> None:
    packed = pack_plays([Submission(user_id="ada", plays=[PLAY])]).runs["ada"]
    listener = Listener.unpack(reference_fold(None, packed))
    assert listener.seconds.tolist() == [1_700_000_001]
    assert listener.tracks.tolist() == [track_key("Air", "Sexy Boy")]
    assert listener.ratios.tolist() == [25]
    assert packed[-1] == 0
    skipped = pack_plays([Submission(user_id="ada", plays=[changed(skipped=True)])]).runs["ada"]
    assert skipped[-1] == FLAG_SKIPPED


def test_of_two_equal_hearings_the_one_that_was_not_skipped_stands() -> None:
    runs = [
        pack_plays([Submission(user_id="ada", plays=[changed(skipped=said)])]).runs["ada"]
        for said in (True, False)
    ]
    for first, second in (runs, runs[::-1]):
        assert reference_fold(reference_fold(None, first), second)[-1] == 0


def test_history_columns() -> None:
    told = to_reported("ada", PLAY, 7)
    assert msgspec.structs.asdict(told) | {"name_key": None} == {
        "user_id": "ada",
        "played_at": datetime(2023, 11, 14, 22, 13, 21, 234000, UTC),
        "event_id": PLAY.event_id,
        "track_id": PLAY.track_id,
        "artist": "Air",
        "title": "Sexy Boy",
        "album": "Moon Safari",
        "ms_played": 60_000,
        "duration_ms": 240_000,
        "skipped": False,
        "source": "navidrome/0.53",
        "received_at": datetime(2023, 11, 14, 22, 18, 20, 567000, UTC),
        "extra": '{"isrc":"FRZ039800212"}',
        "name_key": None,
        "place": 7,
        "clients": ["navidrome"],
    }


def test_songs_of_one_title_have_keys_of_their_own_in_the_history() -> None:
    keys = {to_reported("ada", changed(artist=a, title=t), 7).name_key for a in "xy" for t in "xy"}
    assert len(keys) == 4
    assert (
        to_reported("ada", changed(artist="AIR"), 7).name_key
        == to_reported("ada", PLAY, 7).name_key
    )
    assert all(key is not None and -(2**63) <= key < 2**63 for key in keys)


def test_lake_columns_of_a_play() -> None:
    (row,) = to_table("plays", [batch(PLAY)], "log", 1_741_000_000_000).to_pylist()
    fields = {name: getattr(PLAY, name) for name in Play.__struct_fields__}
    instants = ("played_at", "received_at", "landed_at")
    assert {name: round(row[name].timestamp() * 1000) for name in instants} == {
        "played_at": PLAY.played_at,
        "received_at": PLAY.received_at,
        "landed_at": 1_741_000_000_000,
    }
    rest = {name: value for name, value in row.items() if name not in instants}
    assert rest == {
        **{name: value for name, value in fields.items() if name not in instants},
        "extra": '{"isrc":"FRZ039800212"}',
        "user_id": "ada",
        "log_id": "log",
        "kafka_partition": 3,
        "kafka_offset": 41,
        "position": 0,
        "landed_date": row["landed_at"].date(),
    }


def test_lake_columns_of_feedback() -> None:
    said = Feedback(
        user_id="ada", kind="hate", at=1_700_000_000_000, source="app/1", track_id="id",
        artist="Air", title="Run",
    )  # fmt: skip
    batches: list[Batch[Any]] = [Batch(1, 7, 7, 7, [(7, said)], [])]
    (row,) = to_table("feedback", batches, "log", 1_741_000_000_000).to_pylist()
    assert round(row["given_at"].timestamp() * 1000) == said.at
    for name in ("user_id", "kind", "source", "track_id", "artist", "title"):
        assert row[name] == getattr(said, name)
    assert (row["kafka_partition"], row["kafka_offset"], row["position"]) == (1, 7, 0)


def test_impressions_of_an_erased_listener_are_not_read_again() -> None:
    one = np.ones(1, np.float32)
    shown = Impression(
        impression_id="0b0e4b2c-7a3e-5f5e-9d8e-0123456789ab", user_id="ada", at=1_700_000_000_000,
        generation=1, offset=1, tracks=["a"], numbers=pack(one, one, one[:, None]),
    )  # fmt: skip
    decoder, home = Decoder(Erased(), 4), partition_of("ada", 4)
    records = [Record(0, encode(shown))]
    assert len(decoder.impressions(records, partition=home, start=0).messages) == 1
    decoder.erased.add(Erasure(listener=listener_key("ada"), before=shown.at))
    assert decoder.impressions(records, partition=home, start=0).messages == []


def test_erasures_are_kept_for_ever() -> None:
    topics = Topics("segue")
    for days in (0, 30):
        assert topics.configs(days)[topics.erasures]["retention.ms"] == "-1"
