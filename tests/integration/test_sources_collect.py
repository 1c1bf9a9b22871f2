"""`segue collect` from end to end: a misbehaving Last.fm, a real PostgreSQL, the real platform."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest
from typer.testing import CliRunner

from batch.collectors.lastfm import source as lastfm
from batch.collectors.listenbrainz import similar
from batch.collectors.policy import Policy
from batch.collectors.run import Outcome, Request, collect
from batch.collectors.spotify import source as spotify
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from infra.cli.commands import collect as command
from infra.cli.main import cli
from infra.stack.postgres import Postgres
from tests.batch.catalogue.test_loaders import GOOD, HEADER, ID, UNKNOWN
from tests.batch.collectors.lastfm_server import LastFm, history
from tests.batch.collectors.misbehaving import Misbehaving
from tests.integration.conftest import RunningStack
from tests.integration.sources_kit import emptied, find_track

pytestmark = pytest.mark.integration
MBID = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"
OTHER = "a" * 22
QUICK = Policy(rate=500.0, timeout=30.0, first_wait=0.001, longest_wait=0.01, breaker_after=50)


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """Address of a PostgreSQL whose staging and catalogue are empty."""
    return emptied(postgres)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Last.fm with a key and without patience."""
    monkeypatch.setenv("SEGUE_LASTFM_API_KEY", "key")
    real = lastfm.source
    monkeypatch.setattr(lastfm, "source", lambda home, url: real(home, url, QUICK))
    return monkeypatch


def request(source: str, home: Path, dsn: str, url: str = "", **more: Any) -> Request:
    settings = Settings(home=home, postgres_dsn=dsn)
    return Request(source=source, settings=settings, api=url, token="t", **more)


def test_facts_are_collected_staged_and_resolved(
    dsn: str, tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    with Misbehaving(LastFm([]), share=0.25, slow=0.7) as server:
        quick.setenv("SEGUE_LASTFM_URL", server.url)
        first = collect(request("lastfm", tmp_path, dsn))
        again = collect(request("lastfm", tmp_path, dsn))
    assert (first.outcome, first.failure_rate, first.error) == ("finished", 0.0, "")
    assert first.staged["staged_artists"] == 3
    assert first.staged["staged_tracks"] == 1
    assert first.tally.drift == {}
    assert first.tally.calls == 6
    assert sum(first.tally.retries.values()) + 6 == first.tally.attempts
    assert (again.outcome, again.failure_rate) == ("finished", 0.0)
    with psycopg.connect(dsn) as db:
        noted = db.execute("select outcome, calls from collection_runs order by id").fetchall()
        assert noted[0] == ("finished", 6)
        assert len(noted) == 2


def test_sources_are_asked_for_what_nobody_has_told(
    dsn: str, tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    """A file gives ids; Spotify, Last.fm and ListenBrainz fill what each before them lacks."""
    track = {
        "id": ID, "name": "Comedy, again", "artists": [{"id": OTHER, "name": "Gen Hoshino"}],
        "album": {"id": ID, "name": "Comedy", "release_date": "2022-04-08", "artists": []},
        "duration_ms": 230_666, "external_ids": {"isrc": "JPVI02200163"}, "popularity": 70,
    }  # fmt: skip
    alike = [{"artist_mbid": MBID, "name": "Perfume", "score": 9, "reference_mbid": "x"}]

    def api(path: str, params: dict[str, str], body: bytes, headers: dict[str, str]) -> Any:
        if path == "/api/token":
            return 200, {"access_token": "t"}, {}
        if path == "/similar-artists/json":
            return 200, alike, {}
        artist = {"id": OTHER, "name": "Gen Hoshino", "genres": ["j-pop"]}
        return 200, track if "/tracks/" in path else artist, {}

    csv = tmp_path / "dataset.csv"
    csv.write_text(HEADER + GOOD)
    collect(request("kaggle-tracks", tmp_path, dsn, file=csv))
    for name in ("client_id", "client_secret"):
        quick.setenv(f"SEGUE_SPOTIFY_{name}".upper(), "x")
    real, labs = spotify.app_source, similar.source
    quick.setattr(
        spotify, "app_source", lambda home, url, accounts: real(home, url, accounts, QUICK)
    )
    quick.setattr(similar, "source", lambda home, url: labs(home, url, QUICK))
    with Misbehaving(api, share=0.3, slow=0.7) as server, Misbehaving(LastFm([])) as fm:
        quick.setenv("SEGUE_SPOTIFY_URL", server.url)
        quick.setenv("SEGUE_LISTENBRAINZ_LABS_URL", server.url)
        quick.setenv("SEGUE_LASTFM_URL", fm.url)
        told = collect(request("spotify", tmp_path, dsn))
        assert (told.outcome, told.tally.drift, told.tally.calls) == ("finished", {}, 1)
        assert told.staged["staged_tracks"] == told.staged["staged_artists"] == 1
        genres = collect(request("spotify", tmp_path, dsn))
        assert genres.tally.calls == 1  # the artist's id came with the track
        assert genres.staged["staged_tags"] == 1
        assert collect(request("spotify", tmp_path, dsn)).tally.calls == 0
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute("update staged_artists set mbid = %s", (MBID.replace("5", "6"),))
        heard = collect(request("listenbrainz", tmp_path, dsn))
        assert (heard.outcome, heard.staged["staged_similar"]) == ("finished", 1)
        assert heard.tally.drift == {}
        # Only the artist it named is left to be asked about.
        assert collect(request("listenbrainz", tmp_path, dsn)).tally.calls == 1
        asked = collect(request("lastfm", tmp_path, dsn, limit=8))
        methods = [params["method"] for _, params in fm.requests]
        assert methods.count("artist.getTopTags") == 2
        assert methods.count("track.getInfo") == 0  # length and tags are known
        assert asked.outcome == "finished"
    with psycopg.connect(dsn) as db:
        best: dict[str, str] = dict(
            db.execute(
                "select field, source from catalogue_best_facts "
                "where kind = 'track' and entity_id = %s",
                (find_track(db, "gen hoshino", "COMEDY, again"),),
            ).fetchall()
        )
    assert (best["isrc"], best["year"], best["energy"]) == ("spotify", "spotify", "kaggle-spotify")


def test_lastfm_is_asked_about_what_is_heard_here_and_what_it_only_named(
    dsn: str, tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    """From nothing but a key and plays to tags: charts name artists, listeners hear others."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("truncate plays")
        for n, (artist, source) in enumerate(
            [
                ("Sigur Rós", "x"),
                ("Sigur Rós", "x"),
                ("SIGUR RÓS", "x"),
                ("No", "segue-simulator/1"),
            ]
        ):
            db.execute(
                "insert into plays values ('ada', now() - make_interval(mins => %s), "
                "gen_random_uuid(), 't', %s, 'Hoppípolla', null, null, null, null, %s, now())",
                (n, artist, source),
            )
    with Misbehaving(LastFm([])) as server:
        quick.setenv("SEGUE_LASTFM_URL", server.url)
        asked = []
        for _ in range(4):
            before = len(server.requests)
            collect(request("lastfm", tmp_path, dsn))
            asked.append(
                [
                    (params["method"], params.get("track", params["artist"]))
                    for _, params in server.requests[before:]
                    if "artist" in params
                ]
            )
    assert sorted(asked[0]) == [
        ("artist.getSimilar", "Sigur Rós"),
        ("artist.getTopTags", "Sigur Rós"),
        ("track.getInfo", "Hoppípolla"),
    ]
    told = {name for run in asked for method, name in run if method == "artist.getTopTags"}
    assert told == {"Sigur Rós", "Air", "artist 0", "artist 1", "artist 2"}
    assert asked[-1] == []  # every named item has its facts
    with psycopg.connect(dsn) as db:
        db.execute("truncate plays")
        tags = db.execute("select count(distinct artist_id) from catalogue_artist_tags").fetchone()
    assert tags == (5,)


def test_a_source_that_is_down_leaves_an_open_run_that_goes_on(
    dsn: str, tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    service = LastFm(history(900))
    with Misbehaving(service, script=[""] * 2 + ["500"] * 6) as server:
        quick.setenv("SEGUE_LASTFM_URL", server.url)
        ask = request("lastfm", tmp_path, dsn, server.url, user="ada")
        first = collect(ask)
        assert first.outcome == "open"
        assert "500" in first.error
        assert 0 < first.plays < 900
        assert first.failure_rate == round(1 / 3, 5)
        second = collect(ask)
    assert second.outcome == "finished"
    assert first.plays + second.plays == 900
    assert set(service.posted) == service.expected("ada")
    assert len(service.posted) == 900


def test_what_is_missing_is_said(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SEGUE_LASTFM_API_KEY", "SEGUE_SPOTIFY_USER_TOKEN", "SEGUE_SPOTIFY_CLIENT_ID",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for source, more, text in [
        ("lastfm", {}, "SEGUE_LASTFM_API_KEY"),
        ("spotify", {"user": "ada"}, "user-read-recently-played"),
        ("spotify", {}, r"(?s)CLIENT_ID.*CLIENT_SECRET"),
        ("hetrec", {}, "--file"),
        ("lastfm-1k", {}, "Zenodo"),
        ("mpd", {}, r"mpd\.slice"),
        ("napster", {}, "unknown source"),
    ]:
        with pytest.raises(ConfigurationError, match=text):
            collect(request(source, tmp_path, dsn, **more))


def test_files_are_loaded_through_the_command(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, postgres_dsn=dsn)
    stack = SimpleNamespace(settings=settings, api="", admin_token="")
    monkeypatch.setattr(command, "running", lambda home: stack)
    path = tmp_path / "plays.tsv"
    lines = [f"u{n}\t2009-05-04T13:52:04Z\t\tArtist {n % 5}\t\tSong {n % 9}" for n in range(90)]
    path.write_text("\n".join([*lines, "torn"]) + "\n")
    run = CliRunner().invoke(cli, ["collect", "lastfm-1k", "--file", str(path), "--json"])
    assert run.exit_code == 0, run.output
    outcome = msgspec.json.decode(run.stdout, type=Outcome)
    assert (outcome.staged["staged_artists"], outcome.staged["staged_tracks"]) == (5, 45)
    assert outcome.refused == {"columns": 1}
    assert outcome.resolved is not None
    assert outcome.resolved.tracks == 45
    table = CliRunner().invoke(cli, ["collect", "lastfm-1k", "--file", str(path)])
    assert "refused: columns" in table.stdout


def test_a_csv_of_tracks_is_staged_and_its_bad_rows_are_kept(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "dataset.csv"
    wild = GOOD.replace(",87.917,", ",987.9,").replace(ID, ID[::-1])
    path.write_text(HEADER + GOOD + UNKNOWN.replace(ID, "z" * 22) + wild + "9,torn\n")
    for _ in range(2):
        outcome = collect(request("kaggle-tracks", tmp_path, dsn, file=path))
        assert outcome.refused == {"columns": 1, "track_tempo": 1}
    with psycopg.connect(dsn) as db:
        best = db.execute(
            "select value from catalogue_best_facts "
            "where field = 'danceability' and entity_id = %s",
            (find_track(db, "gen hoshino", "COMEDY, again"),),
        ).fetchall()
        assert [round(value, 3) for (value,) in best] == [0.676]
        refused = db.execute("select reason from rejected_records order by 1").fetchall()
        assert refused == [("columns",), ("track_tempo",)]


def test_collected_plays_arrive_on_the_platform_once(
    stack: RunningStack, tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    service = LastFm(history(450))
    with Misbehaving(service, share=0.2, slow=0.7) as server:
        quick.setenv("SEGUE_LASTFM_URL", server.url)
        ask = Request(
            "lastfm", replace(stack.settings, home=tmp_path), stack.api, stack.admin_token,
            user="collected",
        )  # fmt: skip
        outcome = collect(ask)
        assert (outcome.outcome, outcome.plays, outcome.tally.rejected) == ("finished", 450, {})
        collect(Request(**{**{f: getattr(ask, f) for f in ask.__slots__}, "since": 0}))
    stack.wait_applied()
    with psycopg.connect(stack.settings.postgres_dsn) as db:
        rows = db.execute("select event_id::text from plays where user_id = 'collected'")
        assert {row[0] for row in rows} == service.expected("collected")
