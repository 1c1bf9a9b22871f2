"""Which reports are one play: overlap decides, short songs on repeat are all kept."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.recordings import recording_number
from contracts.same_play import FARTHEST, client_of, far, group, one_play, why

START = datetime(2024, 4, 1, 12, tzinfo=UTC)
ACCOUNT, EXTENDED = "spotify-export/account", "spotify-export"


@dataclass(frozen=True)
class Report:
    """A report of a play that began `second` seconds after :data:`START`."""

    second: float
    client: str = "a"
    ms_played: int | None = None
    duration_ms: int | None = None
    skipped: bool | None = None
    event_id: str = field(default="", compare=False)
    clients: list[str] = field(default_factory=list)
    played_at: datetime = START

    def __post_init__(self) -> None:
        at = START + timedelta(seconds=self.second)
        object.__setattr__(self, "played_at", at)
        object.__setattr__(self, "clients", [self.client])
        object.__setattr__(self, "event_id", f"{self.second:09.3f} {self.client} {self.ms_played}")


def plays(*reports: Report) -> list[list[float]]:
    return [[r.second for r in members] for members in group(reports)]


SONG: dict[str, Any] = {"ms_played": 200_000, "duration_ms": 200_000}


def test_of_several_plays_in_reach_a_report_joins_the_nearest() -> None:
    """Not the earliest, and not the latest: an account's time is that of its whole minute."""
    assert plays(Report(0), Report(20), Report(21, "b")) == [[0], [20, 21]]
    started_over = (Report(0, ACCOUNT), Report(13), Report(28), Report(45, "b"))
    assert plays(*started_over) == [[0, 13, 45], [28]]


@pytest.mark.parametrize(
    ("name", "reports", "right"),
    [
        ("one client, 1 s apart", [Report(0, **SONG), Report(1, **SONG)], 1),
        ("one client, half way through", [Report(0, **SONG), Report(100, **SONG)], 1),
        ("one client, the song again", [Report(0, **SONG), Report(200, **SONG)], 2),
        ("one client, again with a cross-fade", [Report(0, **SONG), Report(188, **SONG)], 2),
        ("one client, length only, 1 s apart", [Report(t, duration_ms=200_000) for t in (0, 1)], 1),
        ("one client, nothing known, 1 s apart", [Report(0), Report(1)], 2),
        ("one client, nothing known, 20 s apart", [Report(0), Report(20), Report(40)], 3),
        ("one client, skips", [Report(t, ms_played=2_000, skipped=True) for t in (0, 5, 10)], 3),
        ("20 s song on repeat", [Report(t, ms_played=20_000) for t in (0, 20, 40)], 3),
        ("12 s song on repeat", [Report(t, ms_played=12_000) for t in range(0, 120, 12)], 10),
        ("the same row twice, 2 s apart", [Report(t, ms_played=12_000) for t in (0, 2)], 1),
        ("two clients, 4 s apart", [Report(0), Report(4, "b")], 1),
        ("two clients, 31 s apart, unknown length", [Report(0), Report(31, "b")], 2),
        ("two clients, overlapping", [Report(0, **SONG), Report(90, "b", **SONG)], 1),
        ("start and end", [Report(0, duration_ms=200_000), Report(200, "b")], 1),
        ("start and end, length by the other", [Report(0), Report(198, "b", None, 200_000)], 1),
        ("two clients, played again", [Report(0), Report(260, "b", None, 200_000)], 2),
        (
            "two clients, the song twice",
            [Report(t, c, **SONG) for c, late in (("a", 0), ("b", 3)) for t in (late, 200 + late)],
            2,
        ),
        ("a length in seconds", [Report(0, duration_ms=200_000), Report(2, "b", None, 200)], 1),
        ("account and extended", [Report(0, ACCOUNT, 180_000), Report(41, EXTENDED, 180_000)], 1),
        ("account, extended: not equal", [Report(0, ACCOUNT, 180_000), Report(41, EXTENDED, 9)], 2),
        (
            "account, extended: 2 min",
            [Report(0, ACCOUNT, 20_000), Report(120, EXTENDED, 20_000)],
            2,
        ),
        ("account and a scrobbler", [Report(0, ACCOUNT, 180_000), Report(75, "b")], 1),
        ("account: the song twice", [Report(t, ACCOUNT, 180_000) for t in (0, 125)], 2),
        ("account: the row twice", [Report(t, ACCOUNT, 180_000) for t in (0, 1)], 1),
        (
            "20 s song thrice in both exports",
            [Report(t, ACCOUNT, 20_000) for t in (-20, 0, 20)]
            + [Report(t, EXTENDED, 20_000) for t in (5, 25, 45)],
            3,
        ),
    ],
)
def test_plays(name: str, reports: list[Report], right: int) -> None:
    assert len(group(reports)) == right, name


def test_a_song_started_over_is_reported_twice_by_both() -> None:
    assert plays(Report(0), Report(20), Report(3, "b"), Report(23, "b")) == [[0, 3], [20, 23]]


def test_chains_do_not_creep() -> None:
    assert plays(Report(0, "a"), Report(20, "b"), Report(40, "c")) == [[0, 20], [40]]


def test_what_is_kept_apart_is_alone() -> None:
    reports = [Report(0, "a"), Report(5, "b"), Report(9, "c")]
    assert [len(g) for g in group(reports, {reports[1].event_id})] == [2, 1]
    assert [len(g) for g in group(reports, {reports[0].event_id})] == [1, 2]


def test_clients() -> None:
    assert client_of("Navidrome/0.53") == client_of("navidrome/0.54") == "navidrome"
    assert client_of("spotify-export/extended") == EXTENDED
    assert client_of("spotify-export/account") == ACCOUNT
    assert client_of("") == ""


def test_a_merge_says_why() -> None:
    assert "within 30 s" in why(Report(0), Report(4, "b"))
    assert "do not overlap" in why(Report(0, **SONG), Report(1, **SONG))
    assert "ended" in why(Report(0, duration_ms=200_000), Report(200, "b"))


reports_ = st.builds(
    Report,
    st.integers(0, 400),
    st.sampled_from(["a", "b", "c", ACCOUNT, EXTENDED]),
    ms_played=st.none() | st.integers(0, 90_000),
    duration_ms=st.none() | st.integers(0, 90_000),
    skipped=st.none() | st.booleans(),
)


@given(st.lists(reports_, max_size=12), st.randoms(use_true_random=False))
def test_order_does_not_matter(told: list[Report], draw: random.Random) -> None:
    told = list({r.event_id: r for r in told}.values())
    shuffled = draw.sample(told, len(told))
    assert group(shuffled) == group(told)


@given(st.lists(reports_, max_size=12))
def test_groups_share_out_all_reports(told: list[Report]) -> None:
    told = list({r.event_id: r for r in told}.values())
    groups = group(told)
    assert sorted(r.event_id for g in groups for r in g) == sorted(r.event_id for r in told)
    for head, *others in groups:
        for member in others:
            assert one_play(head, member)
            gap = member.played_at - head.played_at
            nearest = timedelta(milliseconds=max(far(head), far(member)))
            assert timedelta() <= gap <= nearest <= FARTHEST


NAMES = [
    ("Mira", "Tide (feat. Oso)", "Mira", "Tide"),
    ("Mira ft. Oso", "Tide", "Mira", "Tide"),
    ("Mira", "Tide - 2011 Remaster", "Mira", "Tide"),
    ("Mira", "Tide (Remastered 2011)", "Mira", "Tide"),
    ("\u201cOdd\u201d Al", "Tide", '"Odd" Al', "Tide"),
    ("Mira", "5\u2032 7\u2033 \u2212 2", "Mira", "5' 7\" - 2"),
    ("Mira", "I \u2764\ufe0f U", "Mira", "I \u2764 U"),
    ("\u0130ZEL", "Tide", "izel", "Tide"),
    ("I\u015eIK", "Tide", "\u0131\u015f\u0131k", "Tide"),
    ("Sigur Ros", "Tide", "Sigur R\u00f3s", "Tide"),
    ("Mira & Oso", "Tide", "Mira and Oso", "Tide"),
]


@pytest.mark.parametrize(("artist", "title", "other_artist", "other_title"), NAMES)
def test_names_of_one_recording(
    artist: str, title: str, other_artist: str, other_title: str
) -> None:
    assert recording_number(artist, title) == recording_number(other_artist, other_title)


def test_other_recordings_stay_apart() -> None:
    titles = ["Tide", "Tide (Live)", "Tide (Acoustic)", "Tide - Remix", "Tide (Demo)", "Tide 2"]
    assert len({recording_number("Mira", title) for title in titles}) == len(titles)
