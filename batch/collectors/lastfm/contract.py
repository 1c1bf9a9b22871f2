"""The data contract of Last.fm: shapes of the answers we read.

Numbers arrive as strings and lists of one as a plain object; both are part of the contract. A
required field is one we cannot do without, or one whose loss we want to hear of at once.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

Number = str | int
#: A field we know and do not use: its loss or change must not cost anybody a play.
Unused = Any
Row = TypeVar("Row")


class Named(msgspec.Struct, omit_defaults=True):
    """An artist or album of a play: ``#text`` (``name`` in the extended form)."""

    text: str = msgspec.field(default="", name="#text")
    name: str = ""
    mbid: str | None = None
    url: Unused = None
    image: Unused = None


class Date(msgspec.Struct):
    """Start of a play; ``uts`` in seconds since the epoch, UTC."""

    uts: Number
    text: str = msgspec.field(default="", name="#text")


class NowPlaying(msgspec.Struct):
    """Marks the row of the track that plays right now."""

    nowplaying: str = ""


class PlayRow(msgspec.Struct):
    """A row of ``user.getRecentTracks``; without ``date`` it is the track playing now."""

    name: str
    artist: Named | str
    date: Date | None = None
    album: Named | str = ""
    mbid: str | None = None
    url: Unused = None
    streamable: Unused = None
    loved: Unused = None
    image: Unused = None
    attr: NowPlaying | None = msgspec.field(default=None, name="@attr")


class PageOf(msgspec.Struct, rename="camel"):
    """Which page of a listener's history an answer is.

    ``total`` counts all plays of the history, ``total_pages`` its pages; ``page`` counts from 1.
    """

    total: int
    total_pages: int = 0
    page: int = 0
    per_page: int = 0
    user: str = ""


class RecentTracks(msgspec.Struct):
    """The list itself; servers like Last.fm leave ``track`` out where there is no play."""

    attr: PageOf = msgspec.field(name="@attr")
    track: list[PlayRow] | PlayRow | None = None


class RecentTracksAnswer(msgspec.Struct):
    """Answer of ``user.getRecentTracks``."""

    recenttracks: RecentTracks


class Tag(msgspec.Struct):
    """A tag; ``count`` is 0 .. 100, the most used tag of the item having 100."""

    name: str
    count: Number = 0
    url: Unused = None
    reach: Number = ""
    total: Number = ""
    taggings: Number = ""
    streamable: Unused = None
    wiki: Unused = None


class _TagsAttr(msgspec.Struct):
    artist: str = ""
    track: str = ""


class Tags(msgspec.Struct):
    """A list of tags, the most used first."""

    tag: list[Tag] | Tag = []
    attr: _TagsAttr = msgspec.field(default_factory=_TagsAttr, name="@attr")


class TopTagsAnswer(msgspec.Struct):
    """Answer of ``artist.getTopTags``."""

    toptags: Tags


class SimilarArtist(msgspec.Struct):
    """A similar artist; ``match`` is 0 .. 1."""

    name: str
    match: str | float
    mbid: str | None = None
    url: Unused = None
    streamable: Unused = None
    image: Unused = None


class _Similar(msgspec.Struct):
    artist: list[SimilarArtist] | SimilarArtist = []
    attr: _TagsAttr = msgspec.field(default_factory=_TagsAttr, name="@attr")


class SimilarAnswer(msgspec.Struct):
    """Answer of ``artist.getSimilar``."""

    similarartists: _Similar


class ArtistRow(msgspec.Struct):
    """An artist in a chart or a tag's top list."""

    name: str
    mbid: str | None = None
    url: Unused = None
    playcount: Number = ""
    listeners: Number = ""
    streamable: Unused = None
    image: Unused = None
    attr: dict[str, Number] = msgspec.field(default_factory=dict, name="@attr")


class _Artists(msgspec.Struct):
    artist: list[ArtistRow] | ArtistRow
    attr: dict[str, Number] = msgspec.field(default_factory=dict, name="@attr")


class TagArtistsAnswer(msgspec.Struct):
    """Answer of ``tag.getTopArtists``."""

    topartists: _Artists


class ChartArtistsAnswer(msgspec.Struct):
    """Answer of ``chart.getTopArtists``."""

    artists: _Artists


class TrackRow(msgspec.Struct):
    """A track of ``chart.getTopTracks``; ``duration`` in seconds there, 0 for unknown."""

    name: str
    artist: Named
    mbid: str | None = None
    url: Unused = None
    duration: Number = 0
    playcount: Number = ""
    listeners: Number = ""
    streamable: Unused = None
    image: Unused = None


class _Tracks(msgspec.Struct):
    track: list[TrackRow] | TrackRow
    attr: dict[str, Number] = msgspec.field(default_factory=dict, name="@attr")


class ChartTracksAnswer(msgspec.Struct):
    """Answer of ``chart.getTopTracks``."""

    tracks: _Tracks


class _ChartTags(msgspec.Struct):
    tag: list[Tag] | Tag
    attr: dict[str, Number] = msgspec.field(default_factory=dict, name="@attr")


class ChartTagsAnswer(msgspec.Struct):
    """Answer of ``chart.getTopTags``."""

    tags: _ChartTags


class _Album(msgspec.Struct):
    title: str
    artist: str = ""
    mbid: str | None = None
    url: Unused = None
    image: Unused = None
    attr: dict[str, Number] = msgspec.field(default_factory=dict, name="@attr")


class TrackInfo(msgspec.Struct):
    """A track in full; ``duration`` in milliseconds here, 0 for unknown."""

    name: str
    artist: Named
    duration: Number = 0
    mbid: str | None = None
    url: Unused = None
    listeners: Number = ""
    playcount: Number = ""
    streamable: Unused = None
    album: _Album | None = None
    toptags: Tags | str = ""
    wiki: Unused = None


class TrackInfoAnswer(msgspec.Struct):
    """Answer of ``track.getInfo``."""

    track: TrackInfo


def named(value: Named | str) -> str:
    """Return the name of an artist or album in any of its forms."""
    return value if isinstance(value, str) else value.text or value.name


def rows(value: list[Row] | Row | None) -> list[Row]:
    """Return a list, also where the API sent its only element as it is, or left it out."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
