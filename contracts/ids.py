"""Deterministic identities: the same play, track or listener has one id wherever it is computed.

Two families live here. *Public ids* (:func:`event_id`, :func:`track_id`, :func:`artist_id`) are
UUIDs that appear on the wire and in the warehouse. *Keys* (:func:`track_key`, :func:`user_key`,
:func:`id_key`) are 64-bit numbers for the hot path: the feature store and the model index by them.

A track's key comes from its normalised names, not from its best public id: one scrobbler sends a
MusicBrainz id and another does not, and both mean the same song.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
import zlib
from functools import lru_cache

from contracts.folding import fold

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:segue")
_MBID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_SPOTIFY = re.compile(
    r"(?:spotify:track:|https?://open\.spotify\.com/track/)([0-9A-Za-z]{22})(?![0-9A-Za-z])"
)
_SEPARATOR = "\x1f"  # cannot occur in a normalised name: control characters are dropped


@lru_cache(maxsize=65_536)
def normalise(name: str) -> str:
    """Fold a name so that spellings of one artist or title compare equal.

    :func:`contracts.folding.fold`, cached, with a short way for plain names. Idempotent.

    Examples
    --------
    >>> normalise("  Sigur  Rós ")
    'sigur rós'
    >>> normalise("Don’t Stop") == normalise("DON'T STOP")
    True
    """
    if name.isascii() and name.isprintable():  # most names: the same, in a tenth of the time
        return " ".join(name.lower().split())
    return fold(name)


def _first_fold(name: str) -> str:
    """Fold a name as version 1 did. Event ids are stored: their fold never changes."""
    if name.isascii() and name.isprintable():
        return " ".join(name.lower().split())
    text = unicodedata.normalize("NFKC", name)
    # Case folding can undo the composition, and the other way round: repeat to a fixed point.
    while (folded := unicodedata.normalize("NFKC", text.casefold())) != text:
        text = folded
    text = text.translate(_FIRST_PLAIN)
    if not text.isprintable():  # then there is something to drop, or white space of many kinds
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _DROPPED)
    return " ".join(text.split())


_FIRST_PLAIN = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "‐": "-", "‑": "-", "–": "-", "—": "-"})
_DROPPED = frozenset({"Cc", "Cf", "Cs"})


def event_id(user_id: str, played_at: int, artist: str, title: str) -> str:
    """Return the id of a play: equal for the same listener, start second, artist and title.

    Parameters
    ----------
    played_at
        Start of the play, milliseconds since the epoch, UTC. Only the second counts, because
        scrobblers disagree below it.

    Examples
    --------
    >>> event_id("ada", 1_700_000_000_123, "Air", "La Femme d'Argent") == event_id(
    ...     "ada", 1_700_000_000_999, "AIR", "la femme d’argent")
    True
    """
    name = f"play\x1f{user_id}\x1f{played_at // 1000}\x1f{_names(artist, title)}"
    return _uuid5(name)


def _uuid5(name: str) -> str:
    """Return ``uuid.uuid5`` of a name as text, 4 times faster: every play pays for it."""
    code = hashlib.sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANT[code[16]]
    return f"{code[:8]}-{code[8:12]}-5{code[13:16]}-{variant}{code[17:20]}-{code[20:32]}"


_NAMESPACE_BYTES = _NAMESPACE.bytes  # a property that is worked out at every call
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@lru_cache(maxsize=65_536)
def _names(artist: str, title: str) -> str:
    return _first_fold(artist) + _SEPARATOR + _first_fold(title)


@lru_cache(maxsize=65_536)
def _name_id(kind: str, *names: str) -> str:
    joined = _SEPARATOR.join((kind, *(normalise(n) for n in names)))
    return _uuid5(joined)


def artist_id(artist: str) -> str:
    """Return the id of an artist known by name only."""
    return _name_id("artist", artist)


def track_id(
    artist: str,
    title: str,
    *,
    recording_mbid: str | None = None,
    isrc: str | None = None,
    spotify_uri: str | None = None,
) -> str:
    """Return the best known public id of a track.

    The first well-formed of: recording MBID, ISRC (``isrc:...``), Spotify track
    (``spotify:track:...``); else a UUID of the normalised artist and title. Malformed ids are
    skipped: an invalid id from a scrobbler must not make the API refuse the play.

    Examples
    --------
    >>> track_id("Air", "Sexy Boy", isrc="FRZ039800212")
    'isrc:FRZ039800212'
    >>> track_id("Air", "Sexy Boy") == track_id("AIR", " sexy  boy")
    True
    """
    if recording_mbid and _MBID.fullmatch(mbid := recording_mbid.strip().lower()):
        return mbid
    if isrc and _ISRC.fullmatch(code := isrc.strip().upper().replace("-", "")):
        return f"isrc:{code}"
    if spotify_uri and (match := _SPOTIFY.match(spotify_uri.strip())):
        return f"spotify:track:{match[1]}"
    return _name_id("track", artist, title)


def _key(kind: bytes, text: str) -> int:
    digest = hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=8, person=kind
    ).digest()
    # 0 marks an empty slot in hash tables and ~0 a deleted one: no key may be either.
    return min(max(int.from_bytes(digest, "big"), 1), 2**64 - 2)


@lru_cache(maxsize=262_144)
def track_key(artist: str, title: str) -> int:
    """Return the 64-bit key of a track, by its normalised names (range 1 .. 2**64 - 2).

    Examples
    --------
    >>> f"{track_key('Air', 'Sexy Boy'):016x}", track_key("AIR", "sexy  boy") == track_key(
    ...     "Air", "Sexy Boy")
    ('a070b90d163b3398', True)
    """
    return _key(b"track", normalise(artist) + _SEPARATOR + normalise(title))


@lru_cache(maxsize=65_536)
def artist_key(artist: str) -> int:
    """Return the 64-bit key of an artist, by normalised name (range 1 .. 2**64 - 2)."""
    return _key(b"artist", normalise(artist))


@lru_cache(maxsize=65_536)
def id_key(public_id: str) -> int:
    """Return the 64-bit key of a public track id, to look a track up by it."""
    return _key(b"id", public_id)


@lru_cache(maxsize=65_536)
def user_key(user_id: str) -> int:
    """Return the 64-bit key of a listener (range 1 .. 2**64 - 2)."""
    return _key(b"user", user_id)


def partition_of(user_id: str, partitions: int) -> int:
    """Return the Kafka partition that holds a listener's plays.

    Every producer and reader computes it this way (CRC-32, librdkafka's ``consistent``), because
    the feature store's keys carry the partition as their cluster hash tag.

    Examples
    --------
    >>> partition_of("ada", 4), partition_of("bob", 4)
    (0, 0)
    """
    return zlib.crc32(user_id.encode("utf-8", "surrogatepass")) % partitions
