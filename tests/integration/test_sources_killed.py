"""``kill -9`` anywhere in a collection: the next runs leave what one run would have left."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from deltalake import DeltaTable

from contracts.ids import event_id
from infra.stack.postgres import Postgres
from tests.batch.collectors.collect_killed import Plan
from tests.batch.collectors.lastfm_server import LastFm, history
from tests.batch.collectors.misbehaving import Handler, Misbehaving, Reply
from tests.batch.collectors.test_cursor_sources import START, ListenBrainz, Spotify
from tests.integration.sources_kit import emptied

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
#: What is compared: everything but moments.
_TABLES = {
    "staged_artists": "source, source_key, name, listeners, playcount",
    "staged_tracks": "source, source_key, artist, title, duration_ms, playcount",
    "staged_tags": "source, kind, source_key, tag, weight",
    "staged_similar": "source, source_key, other_key, score",
    "catalogue_artists": "artist_id, name_key, merged_into",
    "catalogue_tracks": "track_id, title_key",
    "catalogue_links": "kind, source, source_key, entity_id",
    "catalogue_candidates": "left_id, right_id, decision",
    "catalogue_artist_cards": "artist_id, name",
    "catalogue_track_cards": "track_id, title, popularity",
    "rejected_records": "source, target, reason, raw",
}
_AFTER_STAGING = ["rows linked:1", "merges:1", "pages:1", "content:1", "view:1", "lake:1"]


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """Address of a PostgreSQL whose staging and catalogue are empty."""
    return emptied(postgres)


def plan(home: Path, dsn: str, points: list[str], url: str = "", **request: Any) -> Plan:
    """Return what to collect, and where to be killed."""
    return Plan({"home": str(home), "dsn": dsn, "api": url, "token": "t", **request}, points)


def carried_out(*plans: Plan, **urls: str) -> None:
    """Collect, killed at each point and then left alone; `urls` by source."""
    named = {f"SEGUE_{name.upper()}_URL": url for name, url in urls.items()}
    keys = {"SEGUE_LASTFM_API_KEY": "key", "SEGUE_SPOTIFY_USER_TOKEN": "t1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.batch.collectors.collect_killed"],
        input=msgspec.json.encode(plans),
        env=os.environ | keys | named,
        cwd=ROOT,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    expected = [[*(f"killed {point}" for point in each.points), "done"] for each in plans]
    assert done.stdout.decode().splitlines() == [line for lines in expected for line in lines]


def left(dsn: str, home: Path) -> dict[str, Any]:
    """Return what lies in the tables and the lake."""
    with psycopg.connect(dsn) as db:
        found: dict[str, Any] = {
            table: sorted(map(str, db.execute(f"select {what} from {table}")))
            for table, what in _TABLES.items()
        }
    for table in ("catalogue_artists", "catalogue_tracks"):
        if (home / "lake" / table).is_dir():
            held = DeltaTable(home / "lake" / table).to_pyarrow_table()
            rows = held.drop_columns(["landed_at", "landed_date"]).to_pylist()
            found[f"lake {table}"] = sorted(map(str, rows))
    return found


def test_facts_of_an_api(postgres: Postgres, dsn: str, tmp_path: Path) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    points = ["answer kept:2", "checkpoint:1", "rows copied:1", "answers staged:1"]
    with Misbehaving(LastFm([]), share=0.2, slow=0.6) as server:
        carried_out(plan(quiet, dsn, [], source="lastfm"), lastfm=server.url)
        expected = left(dsn, quiet)
        emptied(postgres)
        carried_out(plan(killed, dsn, points + _AFTER_STAGING, source="lastfm"), lastfm=server.url)
    assert len(expected["staged_tags"]) >= 6
    assert left(dsn, killed) == expected


def test_a_file(postgres: Postgres, dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    lines = [f"u{n}\t2009-05-04T13:52:04Z\t\tArtist {n % 50}\t\tSong {n}" for n in range(300)]
    path.write_text("\n".join([*lines, "torn", f"u\t2009\t\tx\t\t{'y' * 9}\0"]) + "\n")
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    asked = {"source": "lastfm-1k", "file": str(path)}
    carried_out(plan(quiet, dsn, [], **asked))
    expected = left(dsn, quiet)
    emptied(postgres)
    points = ["rows staged:1", "rows copied:3", "rows staged:6", "rows linked:2", "pages:1"]
    carried_out(plan(killed, dsn, points, **asked))
    assert len(expected["staged_tracks"]) == 300
    assert expected["rejected_records"]
    assert left(dsn, killed) == expected


def test_plays_of_a_listener_from_every_source(dsn: str, tmp_path: Path) -> None:
    counts = {"lastfm": 1500, "listenbrainz": 4500, "spotify": 40}
    pages = {"lastfm": 200, "listenbrainz": 1000, "spotify": 50}
    platforms = {source: LastFm(history(count)) for source, count in counts.items()}
    seconds = [START + n // 3 * 10 for n in range(counts["listenbrainz"])]
    services: dict[str, Handler] = {
        "lastfm": platforms["lastfm"],
        "listenbrainz": ListenBrainz(seconds),
        "spotify": Spotify(counts["spotify"]),
    }
    expected = {
        "lastfm": platforms["lastfm"].expected("ada"),
        "listenbrainz": {
            event_id("ada", second * 1000, "Air", f"#{n}") for n, second in enumerate(seconds)
        },
        "spotify": {
            event_id("ada", (START + n) * 1000, "Air", f"#{n}") for n in range(counts["spotify"])
        },
    }
    once = ["answer kept:1", "plays delivered:1", "checkpoint:1"]
    twice = [*once, "answer kept:2", "plays delivered:2"]
    points = {  # Spotify has one page
        "lastfm": [*twice, "answers staged:1"],
        "listenbrainz": twice,
        "spotify": [*once, "answers staged:1"],
    }

    def served(source: str) -> Misbehaving:
        def both(path: str, params: dict[str, str], body: bytes, headers: dict[str, str]) -> Reply:
            service = platforms[source] if path == "/v1/plays" else services[source]
            return service(path, params, body, headers)

        return Misbehaving(both, share=0.2, slow=0.6, seed=3)

    with ExitStack() as stack:
        urls = {source: stack.enter_context(served(source)).url for source in services}
        carried_out(
            *(
                plan(
                    tmp_path, dsn, points[source], url, source=source, user="ada b", listener="ada"
                )
                for source, url in urls.items()
            ),
            **urls,
        )
    for source, platform in platforms.items():
        assert set(platform.posted) == expected[source]
        # Between the platform's answer and the checkpoint a page is sent again, at no other time.
        again = sum(point.startswith("plays delivered") for point in points[source])
        assert len(platform.posted) - len(expected[source]) <= pages[source] * again
