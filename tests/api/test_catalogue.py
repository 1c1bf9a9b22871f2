"""The catalogue's endpoints without servers: seeds, order, examples."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.catalogue import answers, examples
from api.catalogue.candidates import Seeds, years
from api.catalogue.matching import word_query
from api.catalogue.moods import MOODS
from api.catalogue.stations import arrange
from api.catalogue.taste import Taste
from api.errors import ApiError
from contracts.ids import track_key
from contracts.search import search_text

A, B = uuid.UUID(int=1), uuid.UUID(int=2)


def row(number: int, artist: uuid.UUID, fit: float, title: str = "") -> tuple[Any, ...]:
    name = "Air" if artist == A else "Blur"
    title = title or f"Song {number}"
    return uuid.UUID(int=100 + number), title, artist, name, None, None, None, 0.5, fit


@pytest.mark.parametrize(
    ("name", "struct"),
    [("ARTIST", "ArtistPage"), ("TRACK", "TrackPage"), ("SEARCH", "Found"), ("STATION", "Station")],
)
def test_examples_are_answers(name: str, struct: str) -> None:
    example = getattr(examples, name)
    kind = getattr(answers, struct)
    fields = {field.name for field in msgspec.structs.fields(kind)}
    assert set(example) == fields
    msgspec.convert(example, kind)


@pytest.mark.parametrize("era", ["", "abc", "99s", "1995s", "1999-1990", "12", "1990-", "３０s"])
def test_an_era_that_is_none_is_refused(era: str) -> None:
    with pytest.raises(ApiError) as caught:
        years(era)
    assert (caught.value.status, caught.value.field) == (400, "era")


def test_seeds_are_needed_and_must_be_known() -> None:
    for seeds in (Seeds(), Seeds(mood="hungry")):
        with pytest.raises(ApiError) as caught:
            seeds.question()
        assert caught.value.status == 400
    statement, given = Seeds("rock", "1990s", "calm", A).question()
    assert given["first"] == 1990
    assert given["tags"] == ["rock"]
    assert given["moods"] == list(MOODS["calm"].tags)
    assert statement.count("using (track_id)") == 3


def test_no_artist_takes_a_station_over() -> None:
    rows = [row(n, A, 1.0 - 0.001 * n) for n in range(10)]
    rows += [row(20 + n, B, 0.7 - 0.001 * n) for n in range(10)]
    first = [track.artist for track in arrange(rows, Taste(), 0)[:6]]
    assert set(first) == {"Air", "Blur"}


def test_taste_lifts_and_hides() -> None:
    rows = [row(1, A, 0.6), row(2, B, 0.5), row(3, A, 0.9, "Hidden")]
    taste = Taste({B: 1.0}, frozenset([track_key("Air", "Hidden")]))
    assert [track.title for track in arrange(rows, taste, 3)] == ["Song 2", "Song 1"]
    assert arrange(rows, Taste(), 0)[0].title == "Hidden"


def test_one_title_of_an_artist_comes_once() -> None:
    rows = [row(1, A, 0.9, "Run"), row(2, A, 0.8, "RUN"), row(3, B, 0.7, "Run")]
    assert len(arrange(rows, Taste(), 0)) == 2


@given(st.integers(0, 2**31), st.permutations(range(12)))
def test_the_order_depends_on_the_seed_alone(seed: int, order: list[int]) -> None:
    rows = [row(n, (A, B)[n % 2], 0.5) for n in range(12)]
    assert arrange([rows[n] for n in order], Taste(), seed) == arrange(rows, Taste(), seed)


@given(st.text(max_size=60))
def test_search_words_are_stable_and_make_a_query(name: str) -> None:
    text = search_text(name)
    assert search_text(text).split() == text.split() or not text.isascii()
    words = text.split()
    assert word_query(words).count(":*") >= len(words)
    assert search_text(name.upper()) == search_text(name.lower()) or not name.isascii()


def test_spellings_meet() -> None:
    for left, right in [
        ("Sigur Rós", "sigur ros"),
        ("Mötley Crüe", "MOTLEY CRUE"),
        ("Don’t Stop", "dont stop"),
        ("AC/DC", "ac dc"),
        ("Simon & Garfunkel", "simon and garfunkel"),
    ]:
        assert search_text(left) == search_text(right)


@pytest.mark.parametrize(
    ("artist", "title", "status"),
    [("Unknown Artist", "Song", 404), ("Air", "<unknown>", 404), ("Air", "Venus", 503)],
)
async def test_names_that_stand_for_none_find_nothing(
    client: httpx.AsyncClient, artist: str, title: str, status: int
) -> None:
    """Nothing is asked for them: PostgreSQL is away in this test."""
    asked = {"artist": artist, "title": title}
    headers = {"authorization": "Bearer ada-token"}
    answer = await client.get("/v1/tracks", params=asked, headers=headers)
    assert answer.status_code == status
