"""Expectations of each source's rows: fields, completeness, freshness.

Three rules check incoming rows, and each names what broke it. The *shape* of an API's answer is its
contract in ``batch/collectors/*/contract.py``; differences are counted as drift, and an unreadable
answer is refused. *Types and ranges* are the constraints of the staging tables; a row that breaks
one is stored in ``rejected_records`` under the constraint's name. *Completeness and freshness* are
here: no single row can break them, so they are measured over all rows of a source and become
warnings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Shares are not judged if a source has fewer rows than this.
ENOUGH = 100


@dataclass(frozen=True, slots=True)
class DataContract:
    """What is expected of the rows of one source.

    Attributes
    ----------
    complete
        ``"<table>.<column>"`` -> smallest share (0 to 1) of rows with a known value. Checked only
        for tables with at least :data:`ENOUGH` rows.
    fresh_days
        Greatest age of the newest observation, days; ``None`` for files, whose age does not matter.
    most_failed
        Greatest share (0 to 1) of calls that fail after all retries.
    most_refused
        Greatest share (0 to 1) of refused records, checked from :data:`ENOUGH` records on.
    """

    complete: dict[str, float] = field(default_factory=dict)
    fresh_days: float | None = None
    most_failed: float = 0.01
    most_refused: float = 0.05


_HEARD = ("danceability", "energy", "acousticness", "instrumentalness", "valence", "loudness")
_SOUND = {f"staged_tracks.{name}": 0.95 for name in _HEARD}

#: By the source's name in the staging tables; other sources have only the tables' constraints.
CONTRACTS: dict[str, DataContract] = {
    "lastfm": DataContract(fresh_days=8.0),
    "spotify": DataContract(
        complete={"staged_tracks.duration_ms": 0.99, "staged_tracks.isrc": 0.8}, fresh_days=8.0
    ),
    "listenbrainz": DataContract(complete={"staged_artists.mbid": 1.0}, fresh_days=8.0),
    "kaggle-spotify": DataContract(
        complete={**_SOUND, "staged_tracks.spotify_id": 1.0, "staged_tracks.duration_ms": 0.99},
        most_refused=0.01,
    ),
    "hetrec": DataContract(complete={"staged_artists.playcount": 0.9}, most_refused=0.01),
    "msd": DataContract(
        complete={"staged_tracks.duration_ms": 0.99, "staged_tracks.loudness": 0.99},
        most_refused=0.01,
    ),
    "lastfm-1k": DataContract(complete={"staged_artists.playcount": 1.0}, most_refused=0.01),
    "mpd": DataContract(complete={"staged_tracks.spotify_id": 1.0}, most_refused=0.01),
    "simulated": DataContract(complete={"staged_tracks.energy": 1.0, "staged_tracks.year": 1.0}),
}


def broken(
    source: str,
    *,
    rows: dict[str, int],
    plays: int,
    completeness: dict[str, float],
    age_days: float | None,
    failure_rate: float,
    refused: int,
    drift: int,
) -> list[str]:
    """Return what of its contract a source breaks, each in a sentence; empty is good.

    ``plays`` were delivered to the platform and are not among the staged ``rows``.
    """
    contract = CONTRACTS.get(source, DataContract())
    found = []
    if failure_rate > contract.most_failed:
        found.append(f"{failure_rate:.1%} of calls failed after retries")
    if drift:
        found.append(f"{drift} differences from the contract in the last run")
    total = sum(rows.values()) + plays
    if total + refused >= ENOUGH and refused > contract.most_refused * (total + refused):
        found.append(f"{refused} records refused beside {total} taken")
    if contract.fresh_days is not None and (age_days or 0.0) > contract.fresh_days:
        found.append(f"nothing new for {age_days:.0f} days")
    for place, least in contract.complete.items():
        table, _, column = place.partition(".")
        share = completeness.get(place, 0.0)
        if rows.get(table, 0) >= ENOUGH and share < least:
            found.append(f"{share:.1%} of {table} know {column}, {least:.0%} are promised")
    return found
