"""Times, ages, numbers and names, at the bounds at which the wording changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from web import words

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (1.4, "just now"),
        (1.5, "1 second ago"),
        (2, "2 seconds ago"),
        (59.9, "59 seconds ago"),
        (60, "1 minute ago"),
        (119, "1 minute ago"),
        (120, "2 minutes ago"),
        (3_599, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (172_800, "2 days ago"),
        (86_400 * 1_500, "1,500 days ago"),
    ],
)
def test_an_age_changes_its_unit_at_the_whole_unit(seconds: float, text: str) -> None:
    assert words.age(seconds) == text
    then = NOON - timedelta(seconds=seconds)
    expected = f'<time data-ago datetime="{then.isoformat()}">{text}</time>'
    assert words.ago(then, NOON) == expected


def test_a_time_is_shown_in_the_zone_of_the_reader() -> None:
    assert words.when(NOON, "Asia/Tokyo") == (
        '<time datetime="2026-07-01T12:00:00+00:00">01 Jul 2026, 21:00</time>'
    )
    assert words.when(NOON, "Asia/Tokyo", "%H") == (
        '<time datetime="2026-07-01T12:00:00+00:00">21</time>'
    )
    assert words.when(None, "UTC") == "–"
    assert words.ago(None) == "never"
    for unknown in ("No/Where", "../etc", ""):
        assert words.zone_of(unknown).key == "UTC"


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.timestamp(),
        NOON.timestamp() * 1000,
        "2026-07-01T12:00:00",
        "2026-07-01T14:00:00+02:00",
    ],
)
def test_a_moment_is_read_in_each_form(value: float | str | datetime) -> None:
    assert words.moment(value) == NOON
    assert words.moment(value).tzinfo is not None


def test_numbers_above_1e11_are_milliseconds() -> None:
    assert words.moment(1e11).year == 5138
    assert words.moment(1e11 + 1).year == 1973


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (0, "0:00"),
        (9_000, "0:09"),
        (59_500, "1:00"),
        (60_000, "1:00"),
        (3_661_000, "61:01"),
    ],
)
def test_a_length_has_minutes_and_seconds(milliseconds: int | None, text: str) -> None:
    assert words.lasting(milliseconds) == text


def test_numbers() -> None:
    assert words.number(None) == "–"
    assert words.number(1234.56, 1) == "1,234.6"
    assert words.chance(0.5) == "50 %"
    assert words.chance(0.994) == "99 %"
    assert words.chance(0.999) == "99.9 %"
    assert words.chance(1) == "100 %"
    assert words.chance(0.0123) == "1.2 %"
    assert words.plural(0, "play") == "0 plays"
    assert words.plural(1, "entry", "entries") == "1 entry"
    assert words.plural(1_200, "entry", "entries") == "1,200 entries"


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("the Borrowed Moths", "B"),
        ("The ", "T"),
        ("The X", "X"),
        ("THE WHO", "W"),
        ("Theory", "T"),
        ("  air", "A"),
        ("'68", "6"),
        ("ßtraße", "S"),
        ("", "♪"),
        ("!!!", "♪"),
    ],
)
def test_a_tile_has_the_first_letter_of_a_name(name: str, letter: str) -> None:
    assert words.initial(name) == letter
    assert words.tile(name) == (
        f'<span class="tile hue-{words.hue(name)}" aria-hidden="true">{letter}</span>'
    )


def test_the_tint_of_a_name_never_changes() -> None:
    """Neither with its case nor for text that UTF-8 cannot encode."""
    assert [words.hue(name) for name in ("Air", "AIR", "air")] == [words.hue("air")] * 3
    assert {words.hue(f"artist {n}") for n in range(100)} == set(range(words.HUES))
    assert words.hue("\ud800") == words.hue("?")
