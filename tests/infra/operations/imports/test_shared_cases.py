"""The inputs from public fault reports, each at its right value.

The inputs lie beside the repository and are not part of it. Inputs of every kind that we wrote are
in ``test_odd_exports.py``, ``tests/contracts/test_same_play.py``, ``tests/api/test_odd_plays.py``
and ``tests/batch/collectors/test_odd_rows.py``, so nothing is missing where they are not there.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.auth import Identity
from api.listenbrainz.mapping import play_of
from api.listenbrainz.validate import validate
from api.plays.parse import parse_plays
from batch.collectors.lastfm.contract import RecentTracksAnswer, rows
from batch.collectors.lastfm.plays import read_row
from batch.collectors.listenbrainz import plays as listenbrainz
from batch.collectors.listenbrainz.contract import ListensAnswer
from batch.collectors.shape import read as read_answer
from batch.collectors.spotify import plays as spotify
from batch.collectors.spotify.contract import RecentlyPlayed
from batch.collectors.tally import Tally
from contracts.posted import PostedPlay
from contracts.same_play import group
from infra.operations.imports.rows import Options
from streams.duplicates import ReportedPlay, fill
from streams.history_sink import to_reported
from tests.infra.operations.imports.reading import read

CASES = Path(os.environ.get("SEGUE_CASES", Path(__file__).parents[5] / "shared" / "cases"))
NOW = 1_790_000_000_000
PLAYER = Identity("player", frozenset({"client"}))


def inputs(pattern: str, names: Collection[str] = ()) -> list[Any]:
    """Return the inputs of a pattern; one that is skipped where the folder is not there."""
    found = [path for path in sorted(CASES.glob(pattern)) if not names or path.name in names]
    why = pytest.mark.skip(reason="the inputs of public fault reports are not on this machine")
    return found or [pytest.param(CASES / "none", marks=why)]


def posted(plays: list[dict[str, Any]]) -> tuple[Counter[str], Counter[str], list[ReportedPlay]]:
    """Return plays by listener, refusals by reason, and the reports for the history."""
    parsed = parse_plays(json.dumps({"plays": plays}).encode(), PLAYER, NOW)
    told: dict[tuple[str, str], ReportedPlay] = {}
    for user, theirs in parsed.by_listener.items():
        for number, play in enumerate(theirs):
            one = to_reported(user, play, number)
            known = told.get((user, one.event_id))
            told[user, one.event_id] = one if known is None else fill(known, one)
    songs: dict[tuple[str, int | None], list[ReportedPlay]] = defaultdict(list)
    for one in told.values():
        songs[one.user_id, one.name_key].append(one)
    counted: Counter[str] = Counter()
    for (user, _), reports in songs.items():
        counted[user] += len(group(reports))
    return counted, Counter(reason for reason, _, _ in parsed.refused), list(told.values())


def imported(*names: str) -> tuple[list[PostedPlay], Counter[str]]:
    plays: list[PostedPlay] = []
    refused: Counter[str] = Counter()
    for name in names:
        _, records = read((CASES / name).read_bytes(), Options(user="eva"))
        plays += [r.play for r in records if r.play is not None]
        refused += Counter(r.refused.reason for r in records if r.refused)
    return plays, refused


def shown(plays: list[PostedPlay]) -> list[str]:
    return [f"{datetime.fromtimestamp(p.played_at / 1000, UTC):%Y-%m-%d %H:%M:%S}" for p in plays]


#: Name of an input -> plays of each listener that must come of it.
POSTED = {
    "one_client_twice": {"g-same": 1},
    "start_and_end": {"g-startend": 1},
    "length_in_seconds": {"g-unit": 1},
    "two_clients_names": dict.fromkeys(("g-feat", "g-remaster", "g-quotes", "g-vs16", "g-turk"), 1),
    "invisible_names": {},
}
ANSWERS = {
    "answer_spotify_local_file": (3, 0),
    "answer_spotify_null_track": (2, 1),
    "answer_lastfm_null_artist": (2, 1),
    "answer_listenbrainz_null_info": (3, 0),
    "answer_lastfm_no_plays": (0, 0),
}
STARTS = {
    "lastfm_page_of_one.json": ["2010-10-22 02:05:31"],
    "spotify_offline.json": [
        "2023-05-02 07:00:00", "2023-05-02 07:03:20", "2023-05-02 07:06:20",
        "2023-05-02 18:01:40",
    ],
    "dates_day_first.csv": [
        "2022-12-31 23:10:00", "2022-12-25 23:10:00", "2023-01-02 08:00:00",
        "2023-01-03 08:00:00",
    ],
    "dates_utc_suffix.csv": ["2023-07-01 23:10:00"],
}  # fmt: skip
COUNTS = {"maloja_export.json": 2, "spotify_two_arrays.json": 2, "spotify_loop_20s.json": 3}


@pytest.mark.parametrize("path", inputs("*.json"), ids=lambda path: path.stem)
def test_json(path: Path) -> None:
    name = path.stem
    if name in POSTED:
        counted, refused, told = posted(json.loads(path.read_bytes())["plays"])
        assert counted == POSTED[name]
        if name == "invisible_names":
            assert refused == {"bad-text": 3}
        if name == "length_in_seconds":
            assert {t.duration_ms for t in told} == {200_000}
    elif name in ANSWERS:
        assert _collected(path) == ANSWERS[name]
    elif name.startswith("listen_"):
        document = json.loads(path.read_bytes())
        for body in document.get("submissions", [document]):
            (listen,) = validate(json.dumps(body).encode(), NOW / 1000).listens
            play = play_of(listen, "eva", NOW)
            assert play.duration_ms in ((168_000,) if "lengths" in name else (None,))
    elif path.name in COUNTS:
        assert len(imported(path.name)[0]) == COUNTS[path.name]


def _collected(path: Path) -> tuple[int, int]:
    tally = Tally()
    body = path.read_bytes()
    found: list[Any]
    if "lastfm" in path.stem:
        answer = read_answer(body, RecentTracksAnswer, tally)
        found = [read_row(row) for row in rows(answer.recenttracks.track)]
    elif "spotify" in path.stem:
        found = spotify.read_page(read_answer(body, RecentlyPlayed, tally), 0).rows
    else:
        found = listenbrainz.read_page(read_answer(body, ListensAnswer, tally), 0).rows
    plays = sum(isinstance(row, PostedPlay) for row in found)
    return plays, len(found) - plays + sum(tally.rejected.values())


@pytest.mark.parametrize("path", inputs("*", STARTS), ids=lambda path: path.stem)
def test_times(path: Path) -> None:
    plays, refused = imported(path.name)
    assert shown(plays) == STARTS[path.name]
    assert not refused


@pytest.mark.parametrize("path", inputs("spotify_extended_2024.json"), ids=lambda path: path.stem)
def test_both_exports_of_one_person(path: Path) -> None:
    plays, _ = imported("spotify_account_2024.json", path.name)
    bodies = [
        {"user": "eva", "artist": p.artist, "title": p.title, "played_at": p.played_at,
         "source": p.source, "ms_played": p.ms_played} for p in plays
    ]  # fmt: skip
    assert posted(bodies)[0] == {"eva": 2}


@pytest.mark.parametrize("path", inputs("spotify_account_unknown.json"), ids=lambda path: path.stem)
def test_no_track_is_none(path: Path) -> None:
    plays, refused = imported(path.name)
    assert [play.artist for play in plays] == ["Alpha"]
    assert refused == {"placeholder": 1}
