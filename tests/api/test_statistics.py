"""Statistics of a listener: days by their own clock, names folded, plays that were heard."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from api.listenbrainz.stats import _part, bounds, rank

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_range_begins_at_the_listeners_midnight() -> None:
    now = datetime(2024, 3, 15, 23, 30, tzinfo=UTC)
    start, end = bounds("month", now.astimezone(BERLIN))
    assert (start.isoformat(), end.isoformat()) == (
        "2024-02-01T00:00:00+01:00",
        "2024-03-01T00:00:00+01:00",
    )
    monday, _ = bounds("this_week", now.astimezone(ZoneInfo("Asia/Tokyo")))
    assert monday.isoformat() == "2024-03-11T00:00:00+09:00"
    for name in ("all_time", "year", "quarter", "half_yearly", "week", "this_year", "this_month"):
        first, last = bounds(name, now.astimezone(BERLIN))
        assert first < last
        assert (first.hour, first.minute) == (0, 0)


@pytest.mark.parametrize(("day", "hours"), [(30, 24), (31, 23)])
def test_a_day_is_as_long_as_the_clock_says(day: int, hours: int) -> None:
    part = _part(datetime(2024, 3, day, tzinfo=BERLIN), "day", 7)
    assert part["to_ts"] - part["from_ts"] + 1 == 3_600 * hours
    assert part["time_range"].endswith(f"{day} March 2024")


def test_spellings_are_one_and_placeholders_none() -> None:
    rows = [
        ("Guns\u2019n Roses", None, 2), ("Guns'n Roses", None, 3), ("Wei\u00df", None, 1),
        ("WEISS", None, 1), ("Unknown Artist", None, 50), ("<unknown>", None, 50),
    ]  # fmt: skip
    assert rank(rows) == [("Guns'n Roses", None, 5), ("WEISS", None, 2)]
    songs = [
        ("One", "A", None, 2), ("ONE", "a", None, 1), ("Unknown Track", "A", None, 9),
        ("One", "B", None, 2),
    ]  # fmt: skip
    assert rank(songs) == [("One", "A", None, 3), ("One", "B", None, 2)]


def test_namesakes_are_apart_where_players_send_their_ids() -> None:
    rows = [("Nirvana", None, 4), ("NIRVANA", "us", 5), ("Nirvana", "uk", 3), ("Air", "fr", 1)]
    wanted = [("NIRVANA", "us", 9), ("Nirvana", "uk", 3), ("Air", "fr", 1)]
    assert rank(rows) == rank(rows[::-1]) == wanted
    songs = [("Lithium", *row) for row in rows]
    assert rank(songs) == [("Lithium", *row) for row in wanted]
