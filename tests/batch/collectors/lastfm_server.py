"""Last.fm's documented shapes, served by :class:`Misbehaving`, over a list of plays that moves."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import msgspec

from contracts.ids import event_id
from tests.batch.collectors.misbehaving import Reply

#: ``(second, artist, title)``
Scrobble = tuple[int, str, str]
START = 1_700_000_000


def history(count: int, seed: int = 0) -> list[Scrobble]:
    """Return plays in order of time; some share a second, names are awkward."""
    rng, second, plays = random.Random(seed), START, []
    for n in range(count):
        second += rng.choice((0, 1, 200, 240, 9000))
        plays.append((second, f"Björk & {n % 7}", f"Títle #{n}"))
    return plays


def row(play: Scrobble) -> dict[str, Any]:
    """Return a play as ``user.getRecentTracks`` shows it."""
    second, artist, title = play
    return {
        "artist": {"mbid": "", "#text": artist},
        "streamable": "0",
        "image": [{"size": "small", "#text": ""}],
        "mbid": "",
        "album": {"mbid": "", "#text": "Álbum"},
        "name": title,
        "url": "https://www.last.fm/music/x",
        "date": {"uts": str(second), "#text": "14 Nov 2023, 22:13"},
    }


NOW_PLAYING = {
    "artist": {"mbid": "", "#text": "Air"},
    "name": "Now",
    "album": {"mbid": "", "#text": ""},
    "@attr": {"nowplaying": "true"},
}


class LastFm:
    """The service. ``plays`` may be changed while it runs.

    Parameters
    ----------
    between
        Called before each page is cut, with this object: the place to move the list.
    """

    def __init__(
        self,
        plays: list[Scrobble],
        between: Callable[[LastFm], None] = lambda self: None,
        now_playing: bool = True,
        change: Callable[[dict[str, Any]], None] = lambda document: None,
    ) -> None:
        self.plays = list(plays)
        self.posted: list[str] = []
        self._between = between
        self._now_playing = now_playing
        self._change = change

    def page(self, params: dict[str, str]) -> dict[str, Any]:
        """Cut a page as the service does: newest first, the playing track on every page."""
        self._between(self)
        since, until = int(params["from"]), int(params["to"])
        found = [p for p in self.plays if since <= p[0] < until]
        # Stable among plays of one second, as a database index is.
        found.sort(key=lambda p: (p[0], p[1], p[2]), reverse=True)
        limit, page = int(params["limit"]), int(params["page"])
        rows: Any = [row(p) for p in found[(page - 1) * limit : page * limit]]
        if self._now_playing:
            rows = [copy.deepcopy(NOW_PLAYING), *rows]
        attr = {
            "user": params["user"],
            "totalPages": str(-(-len(found) // limit)),
            "page": str(page),
            "perPage": str(limit),
            "total": str(len(found)),
        }
        document = {"recenttracks": {"track": rows[0] if len(rows) == 1 else rows, "@attr": attr}}
        self._change(document)
        return document

    def __call__(
        self, path: str, params: dict[str, str], body: bytes, headers: dict[str, str]
    ) -> Reply:
        """Answer a request; also serves ``POST /v1/plays`` in place of the API."""
        if path == "/v1/plays":
            results = []
            for play in msgspec.json.decode(body)["plays"]:
                made = event_id(play["user"], play["played_at"], play["artist"], play["title"])
                self.posted.append(made)
                results.append({"status": "accepted", "event_id": made})
            return 202, {"accepted": len(results), "rejected": 0, "results": results}, {}
        if params.get("api_key") != "key":
            return 403, {"error": 10, "message": "Invalid API key"}, {}
        return self._answer(params)

    def _answer(self, params: dict[str, str]) -> Reply:
        method = params["method"]
        if method == "user.getRecentTracks":
            if params["user"] == "nobody":
                return 404, {"error": 6, "message": "User not found"}, {}
            return 200, self.page(params), {}
        if method == "artist.getTopTags":
            if params["artist"] == "Unknown":
                return 200, {"error": 6, "message": "The artist could not be found"}, {}
            tags = [{"count": 100, "name": "trip-hop", "url": "u"}, {"count": 40, "name": "90s"}]
            return 200, {"toptags": {"tag": tags, "@attr": {"artist": params["artist"]}}}, {}
        if method == "artist.getSimilar":
            similar = {"name": "Air", "match": "0.87", "mbid": "", "url": "u", "image": []}
            attr = {"artist": params["artist"]}
            return 200, {"similarartists": {"artist": similar, "@attr": attr}}, {}
        if method == "track.getInfo":
            info = {
                "name": params["track"],
                "mbid": "5b11f4ce-a62d-471e-81fc-a69a8278c7da",
                "duration": "251000",
                "artist": {"name": params["artist"], "mbid": "", "url": "u"},
                "album": {"title": "Moon Safari", "artist": params["artist"]},
                "toptags": {"tag": [{"name": "chillout", "url": "u"}]},
            }
            return 200, {"track": info}, {}
        if method == "chart.getTopTracks":
            chart = [{"name": "Run", "artist": {"name": "Air"}, "duration": "200"}]
            return 200, {"tracks": {"track": chart, "@attr": {"page": "1"}}}, {}
        names = {"chart.getTopArtists": ("artists", "artist"), "chart.getTopTags": ("tags", "tag")}
        outer, inner = names.get(method, ("topartists", "artist"))
        rows = [{"name": f"{inner} {n}", "url": "u", "streamable": "0"} for n in range(3)]
        return 200, {outer: {inner: rows, "@attr": {"page": "1", "total": "3"}}}, {}

    def expected(self, user: str) -> set[str]:
        """Return the event ids of every play in the list."""
        return {event_id(user, s * 1000, artist, title) for s, artist, title in self.plays}
