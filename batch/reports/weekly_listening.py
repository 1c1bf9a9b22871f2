"""The week in music: what was played, found and skipped in the ISO week of the newest play."""

from __future__ import annotations

from datetime import timedelta

from batch.ask import Ask
from batch.reports.period import newest_day, totals
from batch.reports.plots import bars, columns
from batch.reports.report import Cell, Column, Figure, Kind, Occasion, Report, Table

MOST = 20
SHOWN = 10

_DAILY = """
select date_day, plays, active_listeners, new_listeners, sessions,
    round(ms_played / 3600000.0, 1), discoveries, discovery_rate, skip_rate
from marts.metrics_daily
where date_day >= ? and date_day < ?
order by date_day
"""

_DISCOVERIES = """
select coalesce(sum(discoveries), 0) from marts.metrics_daily
where date_day >= ? and date_day < ?
"""

# Charts go by listeners first: one listener, however busy, cannot lead what several heard.
_TRACKS = """
select title, artist, count(*) as heard, count(distinct user_id) as listeners
from marts.fct_plays as plays
inner join marts.dim_tracks as tracks on plays.song_key = tracks.song_key
where played_date >= ? and played_date < ? and is_counted
group by tracks.song_key, title, artist
order by listeners desc, heard desc, title, artist
limit ?
"""

_GENRES = """
select coalesce(tracks.genre, artists.genre) as genre, count(*) as heard,
    count(distinct user_id) as listeners
from marts.fct_plays as plays
inner join marts.dim_tracks as tracks on plays.song_key = tracks.song_key
inner join marts.dim_artists as artists on plays.artist_key = artists.artist_key
where
    played_date >= ? and played_date < ? and is_counted
    and coalesce(tracks.genre, artists.genre) is not null
group by 1
order by listeners desc, heard desc, genre
limit ?
"""

_ARTISTS = """
select label, count(*) as heard, count(distinct user_id) as listeners
from marts.fct_plays as plays
inner join marts.dim_artists as artists on plays.artist_key = artists.artist_key
where played_date >= ? and played_date < ? and is_counted
group by artists.artist_key, label
order by listeners desc, heard desc, label
limit ?
"""

_HOURS = """
select cast(extract(hour from played_at) as integer), count(*)
from marts.fct_plays
where played_date >= ? and played_date < ?
group by 1
"""

_DAY_COLUMNS = (
    Column("date", "Day"),
    Column("plays", "Plays", "count"),
    Column("listeners", "Listeners", "count"),
    Column("new_listeners", "New listeners", "count"),
    Column("sessions", "Sessions", "count"),
    Column("hours", "Hours heard", "tenths"),
    Column("discoveries", "Discoveries", "count"),
    Column("discovery_rate", "Discovery rate", "percent"),
    Column("skip_rate", "Skip rate", "percent"),
)
_TRACK_COLUMNS = (
    Column("title", "Track"),
    Column("artist", "Artist"),
    Column("plays", "Plays", "count"),
    Column("listeners", "Listeners", "count"),
)
_HEARD = (Column("plays", "Plays", "count"), Column("listeners", "Listeners", "count"))
_ARTIST_COLUMNS = (Column("artist", "Artist"), *_HEARD)
_GENRE_COLUMNS = (Column("genre", "Genre"), *_HEARD)


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Draw the report of the ISO week that holds the newest play up to ``occasion.today``."""
    day = newest_day(ask, occasion)
    monday = day - timedelta(days=day.weekday())
    sunday = monday + timedelta(days=6)
    until = min(sunday, occasion.today)
    week = [monday, until + timedelta(days=1)]
    total = totals(ask, monday - timedelta(days=1), until)
    before = totals(ask, monday - timedelta(days=8), monday - timedelta(days=1))
    discoveries = ask(_DISCOVERIES, week)[0][0]
    tracks = ask(_TRACKS, [*week, MOST])
    by_hour = dict.fromkeys(range(24), 0) | dict(ask(_HOURS, week))
    facts: dict[str, Cell] = {
        "Plays": total.plays,
        "Listeners": total.listeners,
        "Plays in the charts": total.counted,
        **total.facts(),
        "Discoveries": int(discoveries),
        "Plays the week before": before.plays,
    }
    title = "Tracks played most"
    figures = [
        Figure(
            title,
            bars(
                [f"{track[0]} · {track[1]}" for track in tracks[:SHOWN]],
                [track[2] for track in tracks[:SHOWN]],
                axis="Plays",
                title=title,
            ),
            f"The {min(SHOWN, len(tracks))} tracks played most this week.",
        ),
        Figure(
            "Plays by hour of the day",
            columns(
                list(by_hour),
                list(by_hour.values()),
                place="Hour (UTC)",
                axis="Plays",
                title="Plays by hour of the day",
                ticks={hour: f"{hour:02d}" for hour in range(0, 24, 3)},
            ),
            "All days of the week, hours UTC.",
        ),
    ]
    return Report(
        name=KIND.name,
        title="The week in music",
        summary=f"Week {monday:%V of %G}: {monday:%-d %B} to {sunday:%-d %B %Y}.",
        facts=facts,
        figures=figures if tracks else [],
        tables=[
            Table("tracks", f"The {len(tracks)} tracks played most", _TRACK_COLUMNS, tracks),
            Table("artists", "Artists played most", _ARTIST_COLUMNS, ask(_ARTISTS, [*week, MOST])),
            Table("genres", "Genres", _GENRE_COLUMNS, ask(_GENRES, [*week, MOST])),
            Table("days", "Day by day", _DAY_COLUMNS, ask(_DAILY, week)),
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
        notes=[
            "A discovery is the first play of a track by a listener.",
            "Charts count plays of at least 30 s, or half of a shorter track, and order by "
            "listeners, then by plays.",
            "Hours are the time heard, at most the length of the track; if the time heard is "
            "unknown, the length of the track.",
            "Genres come from the catalogue; the table leaves out plays without a genre there.",
        ],
    )


KIND = Kind("weekly-listening", "The newest week: tracks, hours, discoveries, skips.", draw)
