"""What the warehouse counts: names folded, songs and albums once, plays that were heard."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from batch import warehouse
from batch.lake import Lake
from batch.reports import pipeline_health, top_artists, weekly_listening
from batch.reports.report import Occasion
from contracts.settings import Settings
from tests.batch.lakes import START, append, at, delivery

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SPELLINGS = [
    ("Sigu\u0301r Ro\u0301s X", "Sig\u00far R\u00f3s X"),
    ("Guns\u2019n Roses X", "Guns'n Roses X"),
    ("\uff3a\uff35\uff34\uff2f X", "ZUTO X"),
    ("Wei\u00df X", "WEISS X"),
    ("Zero\u200bWide X", "ZeroWide X"),
    ("\u201cOdd\u201d X", '"Odd" X'),
    ("\u0130ZEL X", "izel X"),
]
#: Three artists of one name, and what players send of them, in the order of their first play.
MBIDS = [f"{digit * 8}-0000-4000-8000-000000000000" for digit in "cab"]
NAMESAKES = [MBIDS[0], None, MBIDS[1], MBIDS[1].upper(), MBIDS[2], MBIDS[0]]
HEARD: dict[str, Any] = {"ms_played": 200_000, "duration_ms": 200_000}


def said(mbid: str | None) -> str | None:
    """Return further fields of a play: MusicBrainz ids of the artist and of a guest."""
    return None if mbid is None else json.dumps({"artist_mbids": [mbid, MBIDS[0]]})


def plays() -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = [
        {"track_id": "11111111-2222-4333-8444-555555555555"},
        {"track_id": "spotify:track:0000000000000000000077"},
        {},
    ]
    rows = [
        delivery("spell", "Song", 10 * n + 5 * k, artist=name, **HEARD)
        for n, pair in enumerate(SPELLINGS)
        for k, name in enumerate(pair)
    ]
    rows += [
        delivery("ids", "One Song", 60 * n, artist="Split Band", **HEARD, **more)
        for n, more in enumerate(given)
    ]
    rows += [
        delivery("va", f"Tune {n}", 5 * n, artist=f"Guest {n}", album="Big Compilation")
        for n in range(4)
    ]
    rows += [
        delivery(f"best{n}", f"Hit {k}", 5 * k, artist=f"Star {n}", album="Greatest Hits")
        for n in range(4)
        for k in range(3)
    ]
    rows += [
        delivery("named", f"Part {n}", 5 * n, artist=f"Voice {n}", album="Opera",
                 extra='{"release_artist_name":"Various Artists"}')
        for n in range(2)
    ]  # fmt: skip
    rows += [
        delivery("namesake", f"Of {n}", 5 * n, artist="Common Name", album="Debut", extra=extra)
        for n, extra in enumerate(map(said, NAMESAKES))
    ]
    rows += [  # longer ago than an incremental night looks back
        delivery(
            "earlier",
            f"Of {n}",
            5 * n - 4_000,
            artist="Shared Name",
            album="Second",
            extra=said(mbid),
        )
        for n, mbid in enumerate((MBIDS[0], MBIDS[1], MBIDS[0], None))
    ]
    rows += [  # longer ago than an incremental night looks back, too
        delivery("half", f"Of {n}", 5 * n - 4_000, artist=f"Half {n}", album="Half Heard")
        for n in range(3)
    ]
    rows += [
        delivery("short", "Skipped Song", n / 10, artist="Skipper", ms_played=2_000,
                 duration_ms=200_000, skipped=True)
        for n in range(40)
    ]  # fmt: skip
    rows += [
        delivery("length", f"Known {n}", 10 * n, artist="Lengths", duration_ms=360_000)
        for n in range(10)
    ]
    rows += [
        delivery("day", "All day", 0, artist="Sleeper", ms_played=86_400_000, duration_ms=200_000)
    ]
    rows += [
        delivery("gap", f"Tagless {n}", 5 * n, artist="Unknown Artist", **HEARD) for n in range(60)
    ]
    rows += [delivery("twice", "Sent again", 20)]
    rows += [delivery("alone", "Loop", 4 * n, artist="Repeat", **HEARD) for n in range(144)]
    return rows


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("counting"))
    append(settings, plays())
    for night in range(2):  # the second is incremental
        if night:
            late = [delivery("late", "New", 9_000, artist="Late", **HEARD)]
            late += [
                delivery("namesake", f"Of the late {n}", 9_010 + 5 * n, artist="COMMON name",
                         album="Debut", extra=said(mbid))
                for n, mbid in enumerate((MBIDS[0], "d" * 8 + MBIDS[0][8:], MBIDS[1]))
            ]  # fmt: skip
            late += [delivery("twice", "Sent again", 20, landed=7_300)]
            late += [  # a later session of the day on which an album looked like a compilation
                delivery("half", f"Later {n}", -3_900 + 5 * n, artist=f"Half {n}",
                         album="Half Heard", landed=9_020)
                for n in range(2)
            ]  # fmt: skip
            late += [  # landed late, but received before all others of its name
                delivery("earlier", "Of earlier", -4_060, artist="Shared Name", album="Second",
                         landed=9_020, received_at=at(-4_058), extra=said(MBIDS[2]))
            ]  # fmt: skip
            append(settings, late)
        warehouse.land(settings, Lake.newest(settings))
        done = warehouse.build(settings)
        assert done.ok, done.failed
    return settings


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return warehouse.query(settings, sql).rows


def test_spellings_are_one_artist(built: Settings) -> None:
    found = rows(built, "select plays from marts.dim_artists where artist like '% X'")
    assert found == [(2,)] * len(SPELLINGS)


def test_namesakes_are_apart_where_players_send_their_ids(built: Settings) -> None:
    """The first one keeps the plays that came without an id; an incremental night adds another."""
    counted = (
        "select artists.label, count(*) from marts.fct_plays as plays "
        "join marts.dim_artists as artists using (artist_key) where user_id = 'namesake' "
        "group by all order by 2 desc, 1"
    )
    found = rows(built, counted)
    assert [plays_ for _, plays_ in found] == [4, 3, 1, 1]
    assert found[0][0] == "Common Name"
    assert {name.lower() for name, _ in found[1:]} == {
        f"common name (musicbrainz {digit * 8})" for digit in "abd"
    }
    albums = "select count(*) from marts.dim_albums where album = 'Debut'"
    assert rows(built, albums) == [(4,)]


def test_an_incremental_night_can_give_a_name_to_another_artist(built: Settings) -> None:
    """The artist whose id was received first, and the former first one, both change their keys."""
    counted = (
        "select artists.label, count(*), count(distinct album_key) from marts.fct_plays as plays "
        "join marts.dim_artists as artists using (artist_key) where user_id = 'earlier' "
        "group by all order by 1"
    )
    assert rows(built, counted) == [
        ("Shared Name", 2, 1),
        ("Shared Name (MusicBrainz aaaaaaaa)", 1, 1),
        ("Shared Name (MusicBrainz cccccccc)", 2, 1),
    ]
    albums = "select artist, count(*) from marts.dim_albums where album = 'Second' group by all"
    assert rows(built, albums) == [("Shared Name", 3)]


def test_one_song_has_one_row_whatever_ids_it_has(built: Settings) -> None:
    ((track, plays_),) = rows(
        built, "select track_id, plays from marts.dim_tracks where artist = 'Split Band'"
    )
    assert (track, plays_) == ("11111111-2222-4333-8444-555555555555", 3)
    songs = "select count(distinct song_key) from marts.fct_plays where user_id = 'ids'"
    assert rows(built, songs) == [(1,)]
    ((found,),) = rows(built, "select sum(discoveries) from marts.metrics_daily")
    assert found == rows(
        built, "select count(*) from (select distinct user_id, song_key from marts.fct_plays)"
    )[0][0]  # fmt: skip


def test_a_compilation_is_one_album_and_greatest_hits_are_many(built: Settings) -> None:
    albums = (
        "select album, artist, plays from marts.dim_albums"
        " where album_key <> '-1' and album not in ('Debut', 'Second', 'Half Heard') order by 1, 2"
    )
    assert rows(built, albums) == [
        ("Big Compilation", "Various Artists", 4),
        *[("Greatest Hits", f"Star {n}", 3) for n in range(4)],
        ("Opera", "Various Artists", 2),
    ]


def test_an_incremental_night_can_end_a_compilation(built: Settings) -> None:
    """Five songs of three artists on one day: plays of the first session have older keys."""
    albums = "select artist, plays from marts.dim_albums where album = 'Half Heard' order by 1"
    assert rows(built, albums) == [("Half 0", 2), ("Half 1", 2), ("Half 2", 1)]


def test_hours_are_at_most_the_length_and_say_what_is_known(built: Settings) -> None:
    heard = "select user_id, sum(heard_ms) from marts.fct_plays where user_id in ({}) group by 1"
    assert dict(rows(built, heard.format("'length', 'day', 'va'"))) == {
        "length": 3_600_000, "day": 200_000, "va": None,
    }  # fmt: skip


def test_charts_count_what_was_heard_by_listeners_first(built: Settings) -> None:
    with warehouse.asking(built) as ask:
        occasion = Occasion(date(2025, 3, 20), START, 1)
        week = weekly_listening.draw(ask, occasion)
        artists = top_artists.draw(ask, occasion)
    shown = {row[0] for table in week.tables if table.key in ("tracks", "artists")
             for row in table.rows}  # fmt: skip
    shown |= {row[1] for row in artists.tables[0].rows}
    assert "Split Band" in shown
    assert not shown & {"Skipped Song", "Skipper", "Unknown Artist", "Tagless 1"}
    assert {"Skip rate", "Skips known for", "Hours heard", "Hours known for"} <= week.facts.keys()


def test_reports_of_a_past_day_end_with_it(built: Settings) -> None:
    """Plays of the same week on later days are there, and they landed before the report is made."""
    until = date(2025, 3, 4)
    with warehouse.asking(built) as ask:
        occasion = Occasion(until, at(30_000), 1)
        made = [report.draw(ask, occasion) for report in (weekly_listening, pipeline_health)]
    tables = {table.key: table.rows for report in made for table in report.tables}
    ((played,),) = rows(
        built,
        "select count(*) from marts.fct_plays"
        " where played_date between '2025-03-03' and '2025-03-04'",
    )
    assert made[0].facts["Plays"] == played
    assert "Late" not in {row[0] for row in tables["artists"]}
    assert max(row[0] for row in tables["days"]) == until
    assert max(row[0] for row in tables["landing"]) <= until


def test_a_play_that_is_sent_again_did_not_take_days_to_the_lake(built: Settings) -> None:
    with warehouse.asking(built) as ask:
        health = pipeline_health.draw(ask, Occasion(date(2025, 3, 20), START, 1))
    (landing,) = (table.rows for table in health.tables if table.key == "landing")
    assert [row for row in landing if row[0] == date(2025, 3, 8)] == [(date(2025, 3, 8), 1, 2, 2)]
