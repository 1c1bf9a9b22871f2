"""What can be asked of Last.fm about artists, tracks, tags and charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from batch.collectors.lastfm.contract import (
    ChartArtistsAnswer,
    ChartTagsAnswer,
    ChartTracksAnswer,
    SimilarAnswer,
    TagArtistsAnswer,
    TopTagsAnswer,
    TrackInfoAnswer,
)
from batch.collectors.lastfm.source import PATH
from batch.collectors.lookups import Question

#: Contract of each method's answer: how staging reads the archive too.
CONTRACTS: dict[str, type[msgspec.Struct]] = {
    "artist.getTopTags": TopTagsAnswer,
    "artist.getSimilar": SimilarAnswer,
    "tag.getTopArtists": TagArtistsAnswer,
    "track.getInfo": TrackInfoAnswer,
    "chart.getTopArtists": ChartArtistsAnswer,
    "chart.getTopTracks": ChartTracksAnswer,
    "chart.getTopTags": ChartTagsAnswer,
}
#: Rows of a list answer.
_LIST = "100"


def _question(method: str, key: str, **params: str) -> Question:
    return Question(f"{method}/{key}", PATH, {"method": method, **params}, CONTRACTS[method])


def about_artists(artists: Iterable[str]) -> Iterator[Question]:
    """Yield the requests for the tags of each artist and for similar artists."""
    for artist in artists:
        # autocorrect=0: a correction is an opinion about identity, and those are ours to review.
        yield _question("artist.getTopTags", artist, artist=artist, autocorrect="0")
        yield _question(
            "artist.getSimilar", artist, artist=artist, autocorrect="0", limit=_LIST
        )  # fmt: skip


def about_tracks(tracks: Iterable[tuple[str, str]]) -> Iterator[Question]:
    """Yield the request for all facts of each track, given as artist and title."""
    for artist, title in tracks:
        yield _question(
            "track.getInfo", f"{artist}\x1f{title}", artist=artist, track=title, autocorrect="0"
        )


def about_tags(tags: Iterable[str]) -> Iterator[Question]:
    """Yield the request for the best-known artists of each tag."""
    for tag in tags:
        yield _question("tag.getTopArtists", tag, tag=tag, limit=_LIST)


def charts(pages: int = 10) -> Iterator[Question]:
    """Yield the requests for the first pages of the charts of artists, tracks and tags."""
    for method in ("chart.getTopArtists", "chart.getTopTracks", "chart.getTopTags"):
        for page in range(1, pages + 1):
            yield _question(method, str(page), page=str(page), limit=_LIST)
