"""Staging against a real PostgreSQL: constraints validate, upserts settle, nothing bad is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batch.collectors.archive import Archive
from batch.collectors.tally import Tally
from batch.staging.from_archive import stage_archive
from batch.staging.load import Loader
from batch.staging.runs import note_run
from batch.staging.source_figures import scorecard
from batch.staging.tables import TAGS, TRACKS, Row
from infra.stack.postgres import Postgres
from tests.integration.sources_kit import emptied

pytestmark = pytest.mark.integration
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def db(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """A connection; the staging tables are empty."""
    with psycopg.connect(emptied(postgres), autocommit=True) as connection:
        yield connection


def track(name: str, /, at: datetime = AT, **values: object) -> Row:
    base = {"source": "test", "source_key": name, "artist": "Air", "title": name, "observed_at": at}
    return TRACKS.row(**{**base, **values})


def rows(db: psycopg.Connection[Any], what: str, table: str = "staged_tracks") -> list[Any]:
    return db.execute(f"select {what} from {table} order by 1, 2").fetchall()


def test_loading_twice_changes_nothing_the_second_time(db: psycopg.Connection[Any]) -> None:
    batch = [track(f"t{n}", tempo=100.5, explicit=n % 2 == 0) for n in range(1000)]
    assert Loader(db, TRACKS).load(batch, batch=300).written == 1000
    before = rows(db, "source_key, xmin::text, tempo, explicit")
    again = Loader(db, TRACKS).load(batch, batch=300)
    assert (again.read, again.written, again.rejected) == (1000, 0, {})
    assert rows(db, "source_key, xmin::text, tempo, explicit") == before


def test_unknown_never_replaces_known_and_old_never_replaces_new(
    db: psycopg.Connection[Any],
) -> None:
    loader = Loader(db, TRACKS)
    loader.load([track("a", tempo=120, album="One")])
    loader.load([track("a", AT + timedelta(days=1), tempo=None, album="Two")])
    loader.load([track("a", AT - timedelta(days=9), tempo=90, album="Old")])
    assert rows(db, "source_key, tempo, album") == [("a", 120.0, "Two")]


def test_rows_of_one_key_in_a_batch_are_merged(db: psycopg.Connection[Any]) -> None:
    Loader(db, TRACKS).load([track("a", album="x"), track("b"), track("a", year=1998)])
    assert rows(db, "source_key, album, year") == [("a", "x", 1998), ("b", None, None)]


def test_every_bad_row_is_refused_by_the_rule_it_breaks_and_the_good_arrive(
    db: psycopg.Connection[Any],
) -> None:
    bad = {
        "track_tempo": track("b1", tempo=-1),
        "track_danceability": track("b2", danceability=1.5),
        "track_title_blank": track("b3", title="  "),
        "artist-missing": track("b4", artist=None),
        "recording_mbid-type": track("b5", recording_mbid="nope"),
        "track_isrc": track("b6", isrc="x"),
        "duration_ms-type": track("b7", duration_ms="long"),
        "track_key": track("b8", key=12),
        "year-type": track("b9", year=99_999_999),
        "not-text": track("b10", album="a\x00b"),
        "observed_at-type": track("b11", at="yesterdayish"),  # type: ignore[arg-type]
        "energy-type": track("b12", energy="1e999"),
        "track_valence": track("b13", valence=float("nan")),
    }
    good = [track(f"g{n}", key=11, danceability=1.0) for n in range(50)]
    mixed = [*good[:20], *bad.values(), *good[20:], track("s", title="\ud800")]
    loaded = Loader(db, TRACKS).load(mixed)
    assert loaded.written == 50
    expected = dict.fromkeys(bad, 1)
    expected["not-text"] = 2
    assert loaded.rejected == expected
    assert len(rows(db, "source_key, source")) == 50
    kept = rows(db, "reason, raw, source", "rejected_records")
    assert sorted(reason for reason, _, _ in kept) == sorted([*bad, "not-text"])
    assert {source for *_, source in kept} == {"test"}
    assert any("yesterdayish" in raw for _, raw, _ in kept)
    Loader(db, TRACKS).load(mixed)
    assert len(rows(db, "reason, digest", "rejected_records")) == len(kept)


def test_tags_keep_their_weight(db: psycopg.Connection[Any]) -> None:
    row = TAGS.row(source="t", kind="artist", source_key="air", tag="pop", weight=3, observed_at=AT)
    odd = TAGS.row(source="t", kind="song", source_key="air", tag="pop", weight=3, observed_at=AT)
    assert Loader(db, TAGS).load([row, odd]).rejected == {"tag_kind": 1}


ANSWERS: dict[str, dict[str, Any]] = {
    "artist.getTopTags": {
        "toptags": {"tag": [{"count": 100, "name": "Trip-Hop"}, {"count": 3, "name": "90s"}]}
    },
    "artist.getSimilar": {
        "similarartists": {"artist": {"name": "Zero 7", "match": "0.5", "mbid": ""}}
    },
    "track.getInfo": {
        "track": {
            "name": "All I Need",
            "artist": {"name": "Air"},
            "duration": "268000",
            "mbid": "5b11f4ce-a62d-471e-81fc-a69a8278c7da",
            "toptags": {"tag": [{"name": "chillout"}]},
        }
    },
    "chart.getTopArtists": {"artists": {"artist": [{"name": "Air", "listeners": "7"}]}},
    "chart.getTopTracks": {
        "tracks": {"track": [{"name": "Run", "artist": {"name": "Air"}, "duration": "0"}]}
    },
    "tag.getTopArtists": {"topartists": {"artist": [{"name": "Zero 7"}, {"name": "Air"}]}},
    "user.getRecentTracks": {
        "recenttracks": {
            "track": [{"name": "x", "artist": {"#text": ""}, "date": {"uts": "1"}}],
            "@attr": {"total": "1", "totalPages": "1"},
        }
    },
}


def fill(folder: Path, run: str) -> None:
    with Archive(folder) as archive:
        archive.begin(run)
        for method, document in ANSWERS.items():
            params = {"method": method, "artist": "Air", "tag": "downtempo"}
            archive.append(
                what=method, path="/2.0/", params=params, status=200,
                fetched_at=int(AT.timestamp() * 1000), body=json.dumps(document),
            )  # fmt: skip


def test_the_archive_is_staged_once_and_goes_on_where_it_stopped(
    db: psycopg.Connection[Any], tmp_path: Path
) -> None:
    folder = tmp_path / "lastfm"
    fill(folder, "r1")
    first = stage_archive(db, folder)
    assert first.answers == len(ANSWERS)
    assert first.refused == {"no-name": 1}
    assert rows(db, "source_key, name, listeners", "staged_artists") == [
        ("air", "Air", 7),
        ("zero 7", "Zero 7", None),
    ]
    assert rows(db, "title, duration_ms, recording_mbid::text") == [
        ("All I Need", 268000, "5b11f4ce-a62d-471e-81fc-a69a8278c7da"),
        ("Run", None, None),
    ]
    assert rows(db, "source_key, other_key, score", "staged_similar") == [("air", "zero 7", 0.5)]
    assert rows(db, "tag, source_key, weight", "staged_tags") == [
        ("90s", "air", 3.0),
        ("chillout", "air\x1fall i need", 1.0),
        ("downtempo", "air", 50.0),
        ("downtempo", "zero 7", 100.0),
        ("trip-hop", "air", 100.0),
    ]
    assert stage_archive(db, folder).answers == 0
    fill(folder, "r2")
    assert stage_archive(db, folder).answers == len(ANSWERS)
    again = stage_archive(db, folder, again=True)
    assert again.answers == 2 * len(ANSWERS)
    assert all(loaded.written == 0 for loaded in again.tables.values())
    assert len(rows(db, "reason, digest", "rejected_records")) == 1


def test_a_failed_batch_moves_neither_rows_nor_place(
    db: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lastfm"
    fill(folder, "r1")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("batch.staging.from_archive.reject", die)
        with pytest.raises(KeyboardInterrupt):
            stage_archive(db, folder)
    assert rows(db, "bytes, file", "staged_through") == []
    assert rows(db, "name, source", "staged_artists") == []
    assert stage_archive(db, folder).answers == len(ANSWERS)


def test_a_run_is_noted_with_its_figures(db: psycopg.Connection[Any]) -> None:
    tally = Tally(calls=200, attempts=230, failed={"500": 1}, drift={"X.y unknown": 3})
    note_run(db, source="lastfm", what="plays", started_at=AT, outcome="open", tally=tally, plays=7)
    assert rows(db, "calls, failed, plays, tally->'drift'->>'X.y unknown'", "collection_runs") == [
        (200, 1, 7, "3")
    ]


def test_the_scorecard_says_what_is_known_and_what_stands_out(db: psycopg.Connection[Any]) -> None:
    Loader(db, TRACKS).load([track("a", tempo=120), track("b")])
    Loader(db, TRACKS).load([track("l", source="lastfm"), track("x", source="lastfm", tempo=-1)])
    for calls, failed, drift in ((100, 9, {}), (100, 0, {"X.y unknown": 3, "X.z missing": 1})):
        tally = Tally(calls=calls, attempts=calls, failed={"500": failed}, drift=drift)
        note_run(db, source="lastfm", what="facts", started_at=AT, outcome="finished", tally=tally)
    now = AT + timedelta(days=20)
    lastfm, test = scorecard(db, now)
    assert test.rows == {"staged_tracks": 2}
    assert test.completeness["staged_tracks.tempo"] == 0.5
    assert test.completeness["staged_tracks.title"] == 1.0
    assert (test.age_days, test.anomalies) == (20.0, [])
    assert (lastfm.failure_rate, lastfm.drift, lastfm.refused) == (0.045, 4, 1)
    assert lastfm.anomalies == [
        "4.5% of calls failed after retries",
        "4 differences from the contract in the last run",
        "nothing new for 20 days",
    ]
