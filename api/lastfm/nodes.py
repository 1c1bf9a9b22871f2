"""Artists, albums, tracks and pages of them, as Last.fm shows them.

Clients rely on an address of last.fm and on pictures. The address is made of the names. There
are no pictures here, so theirs are empty.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote_plus

from api.lastfm.tree import Node

_SITE = "https://www.last.fm/music"
_SIZES = ("small", "medium", "large", "extralarge")


def url(artist: str, title: str = "", album: str = "") -> Node:
    """Return the address of an artist, of a track or of an album.

    Examples
    --------
    >>> url("Air", "Sexy Boy").text, url("Air", album="Moon Safari").text
    ('https://www.last.fm/music/Air/_/Sexy+Boy', 'https://www.last.fm/music/Air/Moon+Safari')
    """
    rest = f"/_/{quote_plus(title)}" if title else f"/{quote_plus(album)}" if album else ""
    return Node("url", f"{_SITE}/{quote_plus(artist)}{rest}")


def images() -> list[Node]:
    """Return the four image sizes that clients expect. Segue has no images: each URL is empty."""
    return [Node("image", "", {"size": size}) for size in _SIZES]


def artist(name: str, mbid: str = "", *more: Node, rank: int = 0) -> Node:
    """Return an artist."""
    parts = [Node("name", name), Node("mbid", mbid), url(name), *more]
    return _item("artist", parts, rank)


def by(name: str, mbid: str = "") -> Node:
    """Return an artist in few words, as weekly charts and recent tracks name one."""
    return Node("artist", name, {"mbid": mbid})


def album(title: str, of: Node, *more: Node, rank: int = 0) -> Node:
    """Return an album of an artist (:func:`artist` or :func:`by`)."""
    parts = [Node("name", title), Node("mbid"), url(_named(of), album=title), of, *more]
    return _item("album", parts, rank)


def track(title: str, of: Node, *more: Node, rank: int = 0, mbid: str = "") -> Node:
    """Return a track of an artist (:func:`artist` or :func:`by`)."""
    parts = [Node("name", title), Node("mbid", mbid), url(_named(of), title), of, *more]
    return _item("track", parts, rank)


def _named(of: Node) -> str:
    return str(of.children[0].text if of.children else of.text)


def _item(name: str, parts: list[Node], rank: int) -> Node:
    attributes = {"rank": str(rank)} if rank else {}
    streamable = Node("streamable", "0")
    return Node(name, attributes=attributes, children=[*parts, streamable, *images()])


def date(second: int) -> Node:
    """Return a moment (seconds since the epoch)."""
    text = datetime.fromtimestamp(second, UTC).strftime("%d %b %Y, %H:%M")
    return Node("date", text, {"uts": str(second)})
