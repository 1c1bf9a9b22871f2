"""``GET /v1/search`` on a catalogue of a million tracks, beside a primary-key look-up.

Names are invented words, as unevenly often used as words of a language are (Zipf), a twentieth of
them with accents; so are plays. The catalogue's own tables are filled directly: staging and
resolving have figures of their own (``segue bench staging``). Questions go over HTTP one at a time,
each class of them apart; none is asked twice, so no answer is a kept one. The floor is the question
PostgreSQL answers fastest: one row by its primary key. A page of a track shows what HTTP costs.
"""

from __future__ import annotations

import random
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import psycopg

from batch.catalogue.pages import refresh
from contracts.search import search_text
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import whole

_WORDS = 40_000
_ACCENTS = str.maketrans("aeioucn", "áéïöüçñ")
_AT = datetime(2026, 1, 2, tzinfo=UTC)
#: Tracks an artist has on average.
_EACH = 10


def run(*, tracks: int = 1_000_000, questions: int = 200) -> dict[str, Any]:
    """Measure the latency of /v1/search by class of question, beside a look-up by key.

    Parameters
    ----------
    tracks
        Of the catalogue.
    questions
        Asked of each class.
    """
    words = _words()
    with whole() as stack, psycopg.connect(stack.settings.postgres_dsn, autocommit=True) as db:
        names, seconds = _fill(db, words, tracks)
        floor = _floor(db, tracks, questions)
        with httpx.Client(
            base_url=stack.api,
            headers={"authorization": f"Bearer {stack.settings.admin_token}"},
            timeout=10,
        ) as http:
            page = _times(
                http, (f"/v1/tracks/{uuid.UUID(int=n + 1)}" for n in range(questions)), {}
            )
            found = {
                name: _times(http, ["/v1/search"] * questions, asked)
                for name, asked in _classes(words, names).items()
            }
    worst = max(each["p99"] for each in found.values())
    return {
        "tracks": tracks,
        "artists": tracks // _EACH,
        **seconds,
        "search_ms": found,
        "track_page_ms": page,
        "floor_ms": floor,
        "worst_p99_ms": worst,
        "ratio_p99": round(worst / floor["p99"], 1),
        "machine": machine(),
    }


def _words() -> list[str]:
    """Return invented words, the most used first; short ones are used most, as in languages."""
    rng = random.Random(5)
    heads = "b c d f g l m n p r s t v br st tr ch".split()  # noqa: SIM905
    vowels, tails = "aeiou", " nrslt"
    made: dict[str, None] = dict.fromkeys(["the", "of", "a", "love", "in", "you"])
    while len(made) < _WORDS:
        syllables = 1 + (len(made) > 300) + (len(made) > 6_000)
        word = "".join(
            rng.choice(heads) + rng.choice(vowels) + rng.choice(tails).strip()
            for _ in range(syllables)
        )
        made[word.translate(_ACCENTS) if rng.random() < 0.05 else word] = None
    return list(made)


def _names(words: list[str], count: int, most: int, seed: int) -> list[str]:
    """Return names of one to `most` words, words drawn by Zipf's law."""
    rng = np.random.default_rng(seed)
    share = 1 / (10 + np.arange(len(words)))
    lengths = rng.integers(1, most + 1, count)
    drawn = iter(rng.choice(len(words), int(lengths.sum()), p=share / share.sum()).tolist())
    return [" ".join(words[next(drawn)] for _ in range(n)).title() for n in lengths.tolist()]


def _fill(
    db: psycopg.Connection[Any], words: list[str], count: int
) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """Write the catalogue; return artist and title of every track, and seconds of the views."""
    bands = [f"{name} {n}" for n, name in enumerate(_names(words, count // _EACH, 3, 1))]
    titles = _names(words, count, 5, 2)
    rng = np.random.default_rng(3)
    # A few artists have most tracks, a few tracks most plays.
    of = (len(bands) * rng.random(count) ** 2).astype(int).tolist()
    plays = (1 + 1e6 / (1 + np.arange(count) * rng.random(count))).astype(int).tolist()
    _copy(db, "catalogue_artists (artist_id, name, name_key, search_text)", (
        (uuid.UUID(int=n + 1), name, name.casefold(), search_text(name))
        for n, name in enumerate(bands)
    ))  # fmt: skip
    _copy(db, "catalogue_tracks (track_id, artist_id, title, title_key, search_text)", (
        (uuid.UUID(int=n + 1), uuid.UUID(int=of[n] + 1), title, f"{title.casefold()} {n}",
         search_text(bands[of[n]], title))
        for n, title in enumerate(titles)
    ))  # fmt: skip
    _copy(db, "staged_tracks (source, source_key, artist, title, playcount, observed_at)", (
        ("bench", str(n), bands[of[n]], title, plays[n], _AT) for n, title in enumerate(titles)
    ))  # fmt: skip
    _copy(db, "staged_artists (source, source_key, name, playcount, observed_at)", (
        ("bench", str(n), name, len(bands) - n, _AT) for n, name in enumerate(bands)
    ))  # fmt: skip
    _copy(db, "catalogue_links (kind, source, source_key, entity_id)", (
        (kind, "bench", str(n), uuid.UUID(int=n + 1))
        for kind, size in (("track", count), ("artist", len(bands))) for n in range(size)
    ))  # fmt: skip
    db.execute("analyze")
    started = time.perf_counter()
    refresh(db)
    seconds = time.perf_counter() - started
    db.execute("vacuum analyze")
    return (
        [(bands[of[n]], title) for n, title in enumerate(titles)],
        {"views_s": round(seconds, 1)},
    )


def _copy(db: psycopg.Connection[Any], table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with db.cursor() as cursor, cursor.copy(f"copy {table} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _classes(words: list[str], names: list[tuple[str, str]]) -> dict[str, Iterator[str]]:
    """Return endless questions of each class."""
    rng = random.Random(7)
    plain = [word for word in words if word.isascii()]
    odd = [word for word in words if not word.isascii()]
    letters = "abcdefghijklmnopqrstuvwxyz"

    def endless(make: Callable[[], str]) -> Iterator[str]:
        return iter(make, "")

    def name() -> str:
        return " ".join(rng.choice(names)).lower()

    return {
        "short": endless(lambda: "".join(rng.choices(letters, k=rng.randint(1, 2)))),
        "common": endless(lambda: " ".join(rng.sample(plain[:60], rng.randint(1, 2)))),
        "rare": endless(lambda: rng.choice(plain[20_000:])),
        "accented": endless(lambda: rng.choice(odd)),
        "bare": endless(lambda: search_text(rng.choice(odd))),
        "whole name": endless(name),
        "half typed": endless(lambda: name()[: rng.randint(3, 12)].strip() or "a"),
        "common and short": endless(
            lambda: f"{rng.choice(plain[:20])} {rng.choice(letters)} {rng.choice(plain)[:3]}"
        ),
        "nothing": endless(lambda: f"{rng.choice(plain[:60])} zz{rng.choice(plain)}"),
    }


def _times(
    http: httpx.Client, paths: Iterable[str], asked: Iterator[str] | dict[str, str]
) -> dict[str, float]:
    """Return latencies of GETs, one after the other, the first dozen left out."""
    seconds = []
    for path in paths:
        query = {} if isinstance(asked, dict) else {"q": unicodedata.normalize("NFC", next(asked))}
        started = time.perf_counter()
        answer = http.get(path, params=query)
        seconds.append(time.perf_counter() - started)
        answer.raise_for_status()
    return latency(seconds[12:])


def _floor(db: psycopg.Connection[Any], tracks: int, questions: int) -> dict[str, float]:
    """Return latencies of one row by its primary key, over PostgreSQL's own protocol."""
    rng, seconds = random.Random(11), []
    query = "select title from catalogue_tracks where track_id = %s"
    for _ in range(questions + 12):
        key = uuid.UUID(int=rng.randint(1, tracks))
        started = time.perf_counter()
        assert db.execute(query, (key,)).fetchone()
        seconds.append(time.perf_counter() - started)
    return latency(seconds[12:])
