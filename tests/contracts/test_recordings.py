"""Names players send, and the recordings they mean."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.ids import normalise
from contracts.recordings import recording_key

SAME = [
    ("Beyoncé", "Crazy in Love", "BEYONCE", "crazy in love"),
    ("Beyoncé", "Crazy in Love (feat. JAY-Z)", "Beyoncé feat. Jay-Z", "Crazy In Love"),
    ("Gorillaz", "Clint Eastwood [ft. Del]", "Gorillaz ft Del", "Clint Eastwood"),
    ("Daft Punk", "Get Lucky", "Daft Punk", "Get Lucky featuring Pharrell Williams"),
    ("Santana", "Smooth (feat. Rob Thomas) - Live", "Santana", "Smooth - Live"),
    ("The Beatles", "Help!", "The Beatles", "Help! - Remastered 2009"),
    ("The Beatles", "Help!", "the beatles", "Help - 2009 Remaster"),
    ("Queen", "Bohemian Rhapsody", "Queen", "Bohemian Rhapsody (Remastered 2011)"),
    ("Pink Floyd", "Time", "Pink Floyd", "Time [2011 - Remaster]".replace(" - ", " ")),
    ("Kate Bush", "Cloudbusting", "Kate Bush", "Cloudbusting (2018 Digitally Remastered Version)"),
    ("Eminem", "Stan (feat. Dido) - Explicit", "Eminem", "Stan [Explicit]"),
    ("Sigur Rós", "Hoppípolla", "Sigur Ros", "Hoppipolla"),
    ("Simon & Garfunkel", "The Boxer", "Simon and Garfunkel", "The Boxer"),
    ("AC/DC", "T.N.T.", "ACDC", "TNT"),
    ("Guns N’ Roses", "Don’t Cry", "Guns N' Roses", "Don't Cry"),
    ("Air", "La Femme d'Argent", "Air", "La Femme D’Argent - Bonus Track"),
    ("坂本龍一", "戦場のメリークリスマス", "坂本龍一", "戦場のメリークリスマス (2015 Remaster)"),
]
OTHERS = [
    ("Nirvana", "Lithium", "Nirvana", "Lithium (Live)"),
    ("Nirvana", "Lithium", "Nirvana", "Lithium - Live at Reading / Remastered"),
    ("Eric Clapton", "Layla", "Eric Clapton", "Layla (Acoustic)"),
    ("Moby", "Porcelain", "Moby", "Porcelain (Clubbed to Death Variation by Rob Dougan)"),
    ("New Order", "Blue Monday", "New Order", "Blue Monday - 2011 Remix"),
    ("Air", "Sexy Boy", "Air", "Sexy Boy (Radio Edit)"),
    ("Air", "Run", "Air", "Run 2"),
    ("Taylor Swift", "Love Story", "Taylor Swift", "Love Story (Taylor's Version)"),
    ("Prince", "1999", "Prince", "1999 (Demo)"),
    ("Simon", "The Boxer", "Simon & Garfunkel", "The Boxer"),
    ("Crosby, Stills & Nash", "Guinnevere", "Crosby", "Guinnevere"),
    ("The Killers", "Mr. Brightside", "Killer", "Mr. Brightside"),
]


@pytest.mark.parametrize(("artist", "title", "other", "titled"), SAME)
def test_one_recording_in_other_words(artist: str, title: str, other: str, titled: str) -> None:
    assert recording_key(artist, title) == recording_key(other, titled)


@pytest.mark.parametrize(("artist", "title", "other", "titled"), OTHERS)
def test_another_recording_stays_another(artist: str, title: str, other: str, titled: str) -> None:
    assert recording_key(artist, title) != recording_key(other, titled)


@pytest.mark.parametrize("title", ["Explicit", "(Remastered)", "feat. Nobody", "!!!", "-"])
def test_a_title_that_is_only_a_note_is_a_title(title: str) -> None:
    assert recording_key("Air", title) != recording_key("Air", "")
    assert recording_key("Air", title) == recording_key("AIR", f" {title.upper()} ")


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="()[]-"), min_size=1, max_size=30
).filter(lambda name: any(c.isalnum() for c in normalise(name)))
_PLAIN = _NAMES.filter(lambda name: " f" not in f" {normalise(name)}")  # no guests of its own
_NOTES = st.sampled_from(
    ["", " (feat. X & Y)", " [ft. Z]", " - Remastered 2011", " (2009 Remaster)", " - Explicit"]
)


@given(_PLAIN, _PLAIN, _NOTES, _NOTES, st.sampled_from(["", " feat. Guest", " (ft. A, B)"]))
@example("Air", "Run", " (feat. X & Y)", " - Remastered 2011", " feat. Guest")
def test_case_spaces_guests_and_remasters_never_matter(
    artist: str, title: str, first: str, second: str, guests: str
) -> None:
    key = recording_key(artist, title)
    assert recording_key(normalise(artist), f"  {normalise(title)} ") == key
    assert recording_key(artist + guests, title + first) == key
    assert recording_key(artist, title + first + second) == key


@given(st.text(max_size=40), st.text(max_size=40))
def test_names_of_any_kind_have_a_key_that_follows_their_normal_form(a: str, t: str) -> None:
    assert recording_key(a, t) == recording_key(normalise(a), normalise(t))
