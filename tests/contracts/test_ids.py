"""Identities are deterministic, survive spelling, and keep different things apart."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import ids
from contracts.folding import FOLD_VERSION, fold

NAMES = st.text(min_size=1, max_size=60)


@given(NAMES)
@example("ǰ")  # case folding decomposes it, NFKC composes it again
@example("ﬀ ŉ İ")
@example("\u1fb7")
def test_normalise_is_idempotent(name: str) -> None:
    once = ids.normalise(name)
    assert ids.normalise(once) == once


@given(NAMES)
def test_normalise_ignores_case_and_white_space(name: str) -> None:
    padded = f"  {name}\t\n "
    assert ids.normalise(padded) == ids.normalise(name)


@given(NAMES | st.text(st.characters(max_codepoint=127), max_size=40))
@example(" A\tB\x1fC\x7f ")
def test_plain_names_are_folded_like_all_others(name: str) -> None:
    assert ids.normalise(name) == fold(name)


@given(NAMES, NAMES)
def test_ids_are_uuids_by_name(artist: str, title: str) -> None:
    space = uuid.uuid5(uuid.NAMESPACE_URL, "urn:segue")
    folded = f"{ids.normalise(artist)}\x1f{ids.normalise(title)}"
    assert ids.track_id(artist, title) == str(uuid.uuid5(space, f"track\x1f{folded}"))
    first = f"{ids._first_fold(artist)}\x1f{ids._first_fold(title)}"
    assert ids.event_id("ada", 1500, artist, title) == str(
        uuid.uuid5(space, f"play\x1fada\x1f1\x1f{first}")
    )


def test_ids_of_events_on_disk_stay() -> None:
    """Both are from a home made before the second fold; a new fold must keep them."""
    assert FOLD_VERSION == 2
    for artist, wanted in (
        ("\u201cOdd\u201d Al", "1fe91f69-4e0e-5ccc-a746-8809ee9568df"),
        ("\u0130ZEL", "9aa4e597-e93f-53d8-a2ee-8b5ce33988da"),
    ):
        assert ids.event_id("ada", 1_700_000_000_000, artist, "Tide") == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beyoncé", "BEYONCE\u0301"),
        ("Don’t Stop", "don't  stop"),
        ("Ａｉｒ", "air"),
        ("AC–DC", "ac-dc"),
        ("zero\u200bwidth", "zerowidth"),
        ("\u201cOdd\u201d Al", '"Odd" Al'),
        ("5\u2032 7\u2033 \u2212 2", "5' 7\" - 2"),
        ("I \u2764\ufe0f U", "I \u2764 U"),
        ("\u0130ZEL", "izel"),
        ("I\u015eIK", "\u0131\u015f\u0131k"),
        ("Wei\u00df", "WEISS"),
        ("Blank\u2800Braille", "Blank Braille"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert ids.track_key(one, "x") == ids.track_key(other, "X")
    assert ids.track_id(one, "x") == ids.track_id(other, "X")


def test_artist_and_title_do_not_run_together() -> None:
    assert ids.track_key("ab", "c") != ids.track_key("a", "bc")
    assert ids.event_id("u", 1000, "ab", "c") != ids.event_id("u", 1000, "a", "bc")
    assert ids.event_id("u1", 1000, "a", "b") != ids.event_id("u", 11000, "a", "b")


@given(st.integers(0, 4_102_444_800_000), NAMES, NAMES)
def test_an_event_is_its_second(played_at: int, artist: str, title: str) -> None:
    first = ids.event_id("ada", played_at, artist, title)
    assert uuid.UUID(first).version == 5
    assert first == ids.event_id("ada", played_at - played_at % 1000, artist, title)
    assert first != ids.event_id("ada", played_at + 1000, artist, title)


@pytest.mark.parametrize(
    ("given_ids", "expected"),
    [
        (
            {"recording_mbid": "B1A9C0E9-D987-4042-AE91-78D6A3267D69", "isrc": "USUM71900001"},
            "b1a9c0e9-d987-4042-ae91-78d6a3267d69",
        ),
        ({"recording_mbid": "nonsense", "isrc": "us-um7-19-00001"}, "isrc:USUM71900001"),
        (
            {"spotify_uri": "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC?si=1"},
            "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
        ),
        ({"spotify_uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC7"}, ids.track_id("Air", "Sexy Boy")),
        ({"isrc": "", "spotify_uri": "spotify:album:1"}, ids.track_id("Air", "Sexy Boy")),
    ],
)
def test_the_best_known_track_id_wins(given_ids: dict[str, str], expected: str) -> None:
    assert ids.track_id("Air", "Sexy Boy", **given_ids) == expected


@given(NAMES)
def test_keys_never_take_the_values_a_hash_table_reserves(name: str) -> None:
    for key in (ids.track_key(name, name), ids.user_key(name), ids.id_key(name)):
        assert 1 <= key <= 2**64 - 2


def test_keys_do_not_depend_on_the_process() -> None:
    code = (
        "from contracts import ids;"
        "print(ids.track_key('Air','Sexy Boy'), ids.user_key('ada'), ids.event_id('a',1,'b','c'),"
        "ids.partition_of('ada', 7))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(seen) == 1


def test_partitions_are_the_published_crc_32() -> None:
    """0xCBF43926 is the check value of CRC-32 for this text."""
    assert ids.partition_of("123456789", 2**32) == 0xCBF43926
    assert ids.partition_of("123456789", 4) == 2
