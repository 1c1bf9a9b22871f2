"""The warehouse counts two clients' reports of one play once, and twice again when separated."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batch import warehouse
from batch.lake import Lake
from contracts.settings import Settings
from infra.operations.duplicates import merged, unmerge
from infra.stack.postgres import Postgres
from streams.duplicates import ReportedPlay
from streams.upsert import upsert
from tests.batch.lakes import append, delivery
from tests.streams.test_duplicates import told

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def as_delivery(play: ReportedPlay, **fields: Any) -> dict[str, Any]:
    """Return a report as the lake holds it."""
    held = {name: getattr(play, name) for name in ("event_id", "user_id", "artist", "title")}
    held |= {"played_at": play.played_at, "received_at": play.played_at, "album": play.album}
    return delivery(play.user_id, play.title, 0) | held | {"source": play.source} | fields


def plays(settings: Settings, user: str, *options: str) -> list[tuple[Any, ...]]:
    """Build `fct_plays` (without the project's tests) and return a listener's plays."""
    warehouse.land(settings, Lake.newest(settings))
    built = warehouse._dbt(settings, ["run", "--select", "+fct_plays", *options])
    assert built.ok, built.failed
    return warehouse.query(
        settings,
        "select event_id, source, session_position, album_key = '-1' from marts.fct_plays"
        " where user_id = ? order by played_at, event_id",
        (user,),
    ).rows


def test_merged_taken_apart_and_built_anew(postgres: Postgres, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, postgres_dsn=postgres.address)
    user = f"merge-{uuid.uuid4().hex[:8]}"
    first, later, other = (
        told(0, "navidrome", user_id=user, event_id=str(uuid.uuid4())),
        told(6, "lastfm", user_id=user, event_id=str(uuid.uuid4()), album="Moon Safari"),
        told(300, "lastfm", "Two", user_id=user, event_id=str(uuid.uuid4())),
    )
    append(settings, [as_delivery(play) for play in (first, later, other)])
    assert [row[0] for row in plays(settings, user)] == [p.event_id for p in (first, later, other)]

    with psycopg.connect(postgres.address) as connection, connection.transaction():
        upsert(connection, [first, later, other])
    one = [(first.event_id, "navidrome/1", 1, False), (other.event_id, "lastfm/1", 2, True)]
    assert plays(settings, user) == one

    (merge,) = merged(postgres.address, user)
    unmerge(postgres.address, user, merge.event_id)
    apart = [
        (first.event_id, "navidrome/1", 1, True),
        (later.event_id, "lastfm/1", 2, False),
        (other.event_id, "lastfm/1", 3, True),
    ]
    assert plays(settings, user) == apart
    away = dataclasses.replace(settings, postgres_dsn="postgresql://nobody@127.0.0.1:1/none")
    assert plays(away, user, "--full-refresh") == apart  # with the journal of the last time
