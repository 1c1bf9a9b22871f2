"""``kill -9`` anywhere in a collection: the next runs leave what one run would have left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
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


def carried_out(home: Path, dsn: str, points: list[str], url: str = "", **request: Any) -> None:
    """Collect, killed at each point and then left alone."""
    plan = Plan({"home": str(home), "dsn": dsn, "api": url, "token": "t", **request}, points)
    urls = {f"SEGUE_{name}_URL": url for name in ("LASTFM", "SPOTIFY", "LISTENBRAINZ")}
    keys = {"SEGUE_LASTFM_API_KEY": "key", "SEGUE_SPOTIFY_USER_TOKEN": "t1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.batch.collectors.collect_killed"],
        input=msgspec.json.encode(plan),
        env=os.environ | keys | (urls if url else {}),
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines()[:-1] == [f"killed {point}" for point in points]


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
    with Misbehaving(LastFm([]), share=0.2, slow=0.6) as server:
        carried_out(tmp_path / "quiet", dsn, [], server.url, source="lastfm")
        expected = left(dsn, tmp_path / "quiet")
        emptied(postgres)
        points = ["answer kept:2", "checkpoint:1", "rows copied:1", "answers staged:1"]
        carried_out(tmp_path / "killed", dsn, points + _AFTER_STAGING, server.url, source="lastfm")
    assert len(expected["staged_tags"]) >= 6
    assert left(dsn, tmp_path / "killed") == expected


def test_a_file(postgres: Postgres, dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    lines = [f"u{n}\t2009-05-04T13:52:04Z\t\tArtist {n % 50}\t\tSong {n}" for n in range(300)]
    path.write_text("\n".join([*lines, "torn", f"u\t2009\t\tx\t\t{'y' * 9}\0"]) + "\n")
    carried_out(tmp_path / "quiet", dsn, [], source="lastfm-1k", file=str(path))
    expected = left(dsn, tmp_path / "quiet")
    emptied(postgres)
    points = ["rows staged:1", "rows copied:3", "rows staged:6", "rows linked:2", "pages:1"]
    carried_out(tmp_path / "killed", dsn, points, source="lastfm-1k", file=str(path))
    assert len(expected["staged_tracks"]) == 300
    assert expected["rejected_records"]
    assert left(dsn, tmp_path / "killed") == expected


@pytest.mark.parametrize("source", ["lastfm", "listenbrainz", "spotify"])
def test_plays_of_a_listener(source: str, dsn: str, tmp_path: Path) -> None:
    count = {"lastfm": 1500, "listenbrainz": 4500, "spotify": 40}[source]
    platform = LastFm(history(count))
    services: dict[str, Handler] = {
        "lastfm": platform,
        "listenbrainz": ListenBrainz([START + n // 3 * 10 for n in range(count)]),
        "spotify": Spotify(count),
    }
    expected = platform.expected("ada")
    if source != "lastfm":
        seconds = [n if source == "spotify" else n // 3 * 10 for n in range(count)]
        expected = {
            event_id("ada", (START + second) * 1000, "Air", f"#{n}")
            for n, second in enumerate(seconds)
        }
    service: Callable[..., Reply] = services[source]

    def both(path: str, params: dict[str, str], body: bytes, headers: dict[str, str]) -> Reply:
        return (platform if path == "/v1/plays" else service)(path, params, body, headers)

    points = ["answer kept:1", "plays delivered:1", "checkpoint:1"]
    if source != "spotify":  # it has one page
        points += ["answer kept:2", "plays delivered:2"]
    points += ["answers staged:1"]
    with Misbehaving(both, share=0.2, slow=0.6, seed=3) as server:
        carried_out(tmp_path, dsn, points, server.url, source=source, user="ada b", listener="ada")
    assert set(platform.posted) == expected
    # Between the platform's answer and the checkpoint a page is sent again, and no other time.
    page = {"lastfm": 200, "listenbrainz": 1000, "spotify": 50}[source]
    again = sum(point.startswith("plays delivered") for point in points)
    assert len(platform.posted) - len(expected) <= page * again
