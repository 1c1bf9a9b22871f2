"""The catalogue in a real PostgreSQL: identities, merges, provenance; HetRec as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from deltalake import DeltaTable

from batch.catalogue import hetrec, msd
from batch.catalogue.night import night
from batch.catalogue.pages import refresh
from batch.catalogue.resettle import alone, settle
from batch.catalogue.resolve import resolve
from batch.catalogue.review import decide, propose
from batch.collectors.tally import Tally
from batch.content.build import build, table_path
from batch.content.neighbours import ContentNeighbours
from batch.staging.load import Loader
from batch.staging.runs import note_run
from batch.staging.tables import ARTISTS, TAGS, TRACKS, Table
from contracts import batch_view
from contracts.errors import ConfigurationError
from contracts.ids import artist_id, artist_key, track_id
from contracts.lake import CATALOGUE
from contracts.settings import Settings
from infra.stack.postgres import Postgres
from tests import synthetic
from tests.integration.sources_kit import emptied, find_artist, find_track

pytestmark = pytest.mark.integration
AT = datetime(2026, 1, 2, tzinfo=UTC)
MBID = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"
OTHER = "8bfac288-ccc5-448d-9573-c33ea2aa5c30"


@pytest.fixture
def db(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """A connection; staging and catalogue are empty."""
    with psycopg.connect(emptied(postgres), autocommit=True) as connection:
        yield connection


def stage(db: psycopg.Connection[Any], table: Table, *rows: Mapping[str, object]) -> None:
    filled = [
        table.row(**{"source": "lastfm", "source_key": str(n), "observed_at": AT, **row})
        for n, row in enumerate(rows)
    ]
    assert not Loader(db, table).load(filled).rejected


def test_two_sources_meet_in_one_track_and_the_trusted_one_speaks(
    db: psycopg.Connection[Any],
) -> None:
    stage(
        db, TRACKS,
        {"artist": "Air", "title": "Sexy Boy", "album": "Moon Safari", "duration_ms": 1000,
         "recording_mbid": MBID, "listeners": 5},
        {"source": "spotify", "artist": "AIR", "title": "sexy  boy", "album": "moon safari",
         "duration_ms": 298_000},
    )  # fmt: skip
    done = resolve(db)
    assert (done.linked, done.artists, done.albums, done.tracks) == (2, 1, 1, 1)
    assert resolve(db).linked == 0
    track = find_track(db, "air", "SEXY BOY")
    facts = db.execute(
        "select field, value, source, confidence from catalogue_best_facts where entity_id = %s",
        (track,),
    ).fetchall()
    best = {field: (value, source, round(trust, 2)) for field, value, source, trust in facts}
    assert best["duration_ms"] == (298_000, "spotify", 0.9)
    assert best["listeners"] == (5, "lastfm", 0.7)
    identities = db.execute("select scheme, value, entity_id::text from catalogue_identities")
    assert identities.fetchall() == [("mbid", MBID, track)]
    assert find_track(db, "air", "nothing") is None


def test_a_merge_leads_every_name_to_one_artist_and_can_be_taken_back(
    db: psycopg.Connection[Any],
) -> None:
    names = ["Sigur Rós", "Sigur Ros", "The Strokes", "Strokes", "Nine Inch Nails"]
    stage(db, ARTISTS, *[{"name": name} for name in names])
    stage(
        db, TAGS,
        {"kind": "artist", "source_key": "0", "tag": "post-rock", "weight": 90},
        {"kind": "artist", "source_key": "1", "tag": "post-rock", "weight": 3},
    )  # fmt: skip
    stage(db, TRACKS, {"artist": "Sigur Ros", "title": "Hoppípolla"})
    resolve(db)
    review = propose(db)
    assert (review.found, review.pending, review.merged) == (2, 1, 1)
    assert find_artist(db, "sigur ros") == artist_id("Sigur Rós") == find_artist(db, "SIGUR RÓS")
    assert find_track(db, "Sigur Rós", "Hoppípolla") == find_track(db, "sigur ros", "hoppípolla")
    assert find_artist(db, "Strokes") != find_artist(db, "The Strokes")

    decide(db, artist_id("Strokes"), artist_id("The Strokes"), "merge", "ada")
    decide(db, artist_id("Sigur Ros"), artist_id("Sigur Rós"), "distinct", "ada")
    assert propose(db).pending == 0  # a person's decision stands
    assert find_artist(db, "Strokes") == find_artist(db, "The Strokes")
    assert find_artist(db, "Sigur Ros") != find_artist(db, "Sigur Rós")
    with pytest.raises(ConfigurationError):
        decide(db, artist_id("Air"), artist_id("Blur"), "merge", "ada")


def test_names_of_a_player_lead_to_the_track_but_not_past_a_persons_decision(
    db: psycopg.Connection[Any],
) -> None:
    stage(
        db, TRACKS,
        {"artist": "Beyoncé", "title": "Crazy in Love (feat. JAY-Z)"},
        {"artist": "The Beatles", "title": "Help!"},
        {"artist": "The Beatles", "title": "Help! - Remastered 2009"},
        {"artist": "Nirvana", "title": "Lithium (Live)"},
        {"artist": "M.I.A.", "title": "Galang"},
    )  # fmt: skip
    stage(db, ARTISTS, {"name": "MIA"})
    resolve(db)
    propose(db)
    crazy = track_id("Beyoncé", "Crazy in Love (feat. JAY-Z)")
    assert find_track(db, "BEYONCE feat. Jay-Z", "crazy in love") == crazy
    assert find_track(db, "The Beatles", "HELP - 2009 Remaster") == track_id("The Beatles", "Help!")
    remaster = "Help! - Remastered 2009"  # its very names come before other words
    assert find_track(db, "the beatles", remaster) == track_id("The Beatles", remaster)
    assert find_track(db, "Nirvana", "Lithium") is None
    assert find_track(db, "MIA", "Galang") == track_id("M.I.A.", "Galang")
    decide(db, artist_id("MIA"), artist_id("M.I.A."), "distinct", "ada")
    assert find_track(db, "MIA", "Galang") is None
    assert find_track(db, "M.I.A.", "Galang") == track_id("M.I.A.", "Galang")
    # Tracks from before there were such keys get theirs with the next run.
    db.execute("update catalogue_tracks set recording_key = null")
    resolve(db)
    assert find_track(db, "BEYONCE feat. Jay-Z", "crazy in love") == crazy


def test_ids_decide_for_and_against(db: psycopg.Connection[Any]) -> None:
    stage(
        db, ARTISTS,
        {"name": "Puff Daddy", "mbid": MBID}, {"name": "P. Diddy", "mbid": MBID},
        {"name": "Sleepers", "mbid": MBID.replace("5", "6")}, {"name": "Sleeper's", "mbid": OTHER},
    )  # fmt: skip
    tags = [{"kind": "artist", "source_key": str(n), "tag": "x", "weight": 1} for n in range(4)]
    stage(db, TAGS, *tags)
    resolve(db)
    propose(db)
    assert find_artist(db, "P. Diddy") == find_artist(db, "Puff Daddy")
    assert find_artist(db, "Sleepers") != find_artist(db, "Sleeper's")
    decisions = db.execute(
        "select evidence->>'why', decision from catalogue_candidates order by 1"
    ).fetchall()
    assert decisions == [("same-id", "merge"), ("spelling", "pending")]


def test_ids_that_come_to_differ_take_back_what_the_rule_merged(
    db: psycopg.Connection[Any],
) -> None:
    names = ("Sigur Rós", "Sigur Ros")
    stage(db, ARTISTS, *({"name": name} for name in names))
    stage(db, TAGS, *({"kind": "artist", "source_key": k, "tag": "x", "weight": 1} for k in "01"))
    resolve(db)
    assert propose(db).merged == 1
    told = zip(names, (MBID, OTHER), strict=True)
    stage(db, ARTISTS, *({"name": name, "mbid": mbid} for name, mbid in told))
    review = propose(db)
    assert (review.merged, review.pending) == (0, 1)
    assert len({find_artist(db, name) for name in names}) == 2


def test_the_catalogue_reaches_the_lake_when_it_says_something_new(
    db: psycopg.Connection[Any], tmp_path: Path
) -> None:
    stage(db, ARTISTS, {"name": "Air"}, {"name": "Zero 7"}, {"name": "Blur"})
    tags = [("0", "downtempo", 90), ("0", "french", 95), ("1", "downtempo", 50), ("2", "rock", 9)]
    stage(
        db, TAGS,
        *({"kind": "artist", "source_key": k, "tag": t, "weight": w} for k, t, w in tags),
    )  # fmt: skip
    stage(db, TRACKS, {"artist": "AIR", "title": "Run", "year": 2004, "energy": 0.4})
    settle(db, Settings(home=tmp_path))
    lake = {name: DeltaTable(tmp_path / "lake" / name) for name in CATALOGUE}
    artists = lake["catalogue_artists"].to_pyarrow_table().to_pylist()
    assert {row["name"]: row["genre"] for row in artists} == {
        "Air": "downtempo", "Zero 7": "downtempo", "Blur": "rock",
    }  # fmt: skip
    assert artists[0]["tags"].startswith('[["french", 1.0')
    (track,) = lake["catalogue_tracks"].to_pyarrow_table().to_pylist()
    assert (track["genre"], track["year"], round(track["energy"], 2)) == ("downtempo", 2004, 0.4)
    settle(db, Settings(home=tmp_path))
    stage(db, TRACKS, {"artist": "AIR", "title": "Run", "year": 2003, "source": "spotify"})
    settle(db, Settings(home=tmp_path))
    versions = [DeltaTable(tmp_path / "lake" / name).version() for name in CATALOGUE]
    assert versions == [1, 1]  # the second run changed nothing; then a source and a year changed
    assert batch_view.generations(tmp_path / "content_view") == [1]


def test_one_settles_at_a_time(db: psycopg.Connection[Any], postgres: Postgres) -> None:
    asked = "select pg_try_advisory_lock(hashtext(current_schema() || '.catalogue'))"
    with psycopg.connect(postgres.address, autocommit=True) as other:
        with alone(db), alone(db):  # a night settles with what it holds already
            assert other.execute(asked).fetchone() == (False,)
        assert other.execute(asked).fetchone() == (True,)


def test_a_night_tends_the_catalogue_and_says_how_sources_are(
    db: psycopg.Connection[Any], postgres: Postgres, tmp_path: Path
) -> None:
    db.execute("truncate collection_runs")
    stage(db, ARTISTS, {"name": "Air"}, {"name": "Zero 7"})
    stage(
        db, TAGS,
        *({"kind": "artist", "source_key": k, "tag": "downtempo", "weight": 9} for k in "01"),
    )  # fmt: skip
    stage(db, TRACKS, {"artist": "Air", "title": "Run"}, {"artist": "Zero 7", "title": "Home"})
    settle(db, Settings(home=tmp_path))
    tally = Tally(calls=100, attempts=100, failed={"500": 9}, drift={"X.y unknown": 3})
    note_run(db, source="lastfm", what="facts", started_at=AT, outcome="finished", tally=tally)
    settings = Settings(home=tmp_path, postgres_dsn=postgres.address)
    done = night(settings, AT.date())
    assert done.rows == {"catalogue_artists": 2, "catalogue_tracks": 2, "content_view": 2}
    (check,) = done.checks
    assert (check.table, check.ok, check.severity) == ("source.lastfm", False, "warn")
    assert "9.0% of calls failed" in check.detail
    report = msgspec.json.decode((settings.paths.reports / "sources" / "latest.json").read_bytes())
    assert report["facts"]["Look at"] == "lastfm"
    away = night(Settings(home=tmp_path, postgres_dsn="postgresql://x@127.0.0.1:1/x"), AT.date())
    assert "stays as it was: PostgreSQL" in away.detail


def test_hetrec_and_msd_are_the_catalogue(
    db: psycopg.Connection[Any], shared_data: Path, real_data: bool, tmp_path: Path
) -> None:
    n_artists, n_tracks = (17_632, 10_000) if real_data else (synthetic.ARTISTS, synthetic.TRACKS)
    assert Loader(db, ARTISTS).load(hetrec.artists(shared_data)).written == n_artists
    Loader(db, TAGS).load(hetrec.tags(shared_data))
    msd_loaded = Loader(db, TRACKS).load(msd.rows(shared_data / "msd10k_tracks.parquet"))
    assert msd_loaded.written + sum(msd_loaded.rejected.values()) == n_tracks
    done = resolve(db)
    review = propose(db)
    count = db.execute("select count(*) from catalogue_links where source = 'hetrec'").fetchone()
    assert count == (n_artists,)
    artists, genres = db.execute(
        "select count(distinct entity_id), count(distinct tag) from catalogue_tags "
        "where tag in ('rock', 'pop', 'electronic', 'hip-hop', 'jazz', 'metal', 'folk', 'soul')"
    ).fetchone() or (0, 0)
    print(f"{done} {review} msd refused {msd_loaded.rejected}; {artists} artists, {genres} genres")
    assert artists > (1000 if real_data else 500)
    assert genres >= 6
    known = "Radiohead" if real_data else synthetic.name(7)
    assert find_artist(db, known.lower()) == artist_id(known)
    refresh(db)
    coverage = build(db, tmp_path)
    assert coverage.with_neighbours > (1000 if real_data else 300)
    assert {"rock", "jazz", "metal", "folk", "electronic", "hip-hop"} <= coverage.tags.keys()
    table = ContentNeighbours.load(table_path(tmp_path))
    row = {int(key): n for n, key in enumerate(table.keys)}
    if real_data:
        one, alike = "Metallica", ["Megadeth", "Slayer", "Anthrax", "Testament"]
    else:
        one, *alike = map(synthetic.name, range(synthetic.SCENE))
    like = {int(table.keys[n]) for n in table.items[row[artist_key(one)]]}
    assert like & {artist_key(name) for name in alike}
