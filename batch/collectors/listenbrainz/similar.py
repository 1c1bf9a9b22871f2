"""Artists heard together, from ListenBrainz's data set hoster (an experiment of theirs)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from batch.collectors.listenbrainz import plays
from batch.collectors.listenbrainz.contract import SimilarArtist
from batch.collectors.lookups import Question
from batch.collectors.policy import Policy
from batch.collectors.source import Source

API = "https://labs.api.listenbrainz.org"
PATH = "/similar-artists/json"
#: The service knows a handful of settings by name; this one is its own site's.
ALGORITHM = (
    "session_based_days_7500_session_300_contribution_5_threshold_10_limit_100_filter_True_skip_30"
)


def source(home: Path, base_url: str = API, policy: Policy = plays.POLICY) -> Source:
    """Return the source; it needs no token and is sent one where there is one."""
    return plays.source(home, base_url, policy)


def about_artists(artists: Iterable[tuple[str, str]]) -> Iterator[Question]:
    """Ask for the artists like each, given as MusicBrainz id and name.

    The answer names the artist asked about by id alone, so the name goes into the unit of work,
    where staging finds it again (:func:`asked`).
    """
    for mbid, name in artists:
        yield Question(
            f"similar/{mbid}/{name}",
            PATH,
            {"artist_mbids": mbid, "algorithm": ALGORITHM},
            list[SimilarArtist],
        )


def asked(unit: str) -> tuple[str, str]:
    """Return MusicBrainz id and name of the artist a unit of work asked about.

    Examples
    --------
    >>> asked("lookups-1/similar/cb67438a-7f50-4f2b-a6f1-2bb2729fd538/AC/DC")
    ('cb67438a-7f50-4f2b-a6f1-2bb2729fd538', 'AC/DC')
    """
    _, _, rest = unit.partition("/similar/")
    mbid, _, name = rest.partition("/")
    return mbid, name
