"""Archived answers of ListenBrainz as staging rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from batch.collectors.archive import ArchivedAnswer
from batch.collectors.listenbrainz.contract import SimilarArtist
from batch.collectors.listenbrainz.similar import PATH, asked
from batch.collectors.mending import mended
from batch.collectors.plays import Refused
from batch.staging.tables import ARTISTS, SIMILAR, Row, Table

SOURCE = "listenbrainz"


def rows_of(record: ArchivedAnswer) -> Iterator[tuple[Table, Row] | Refused]:
    """Yield the facts of an answer; its listens were posted to the API at collection."""
    if record.path != PATH or record.status in (204, 404):
        return
    try:
        found, broken, _ = mended(msgspec.json.decode(record.body), list[SimilarArtist])
    except msgspec.MsgspecError as error:
        yield Refused("shape", str(error), record.body)
        return
    yield from (Refused("odd-row", f"{path}: {why}", raw) for path, why, raw in broken)
    at = datetime.fromtimestamp(record.fetched_at / 1000, UTC)
    mbid, name = asked(record.unit)
    yield _artist(mbid, name, at)
    # A count of sessions has no scale of its own: the strongest of the answer is 1.
    most = max((row.score for row in found), default=0.0)
    for row in found:
        if row.score <= 0 or row.artist_mbid == mbid:
            continue
        yield _artist(row.artist_mbid, row.name, at)
        yield (
            SIMILAR,
            SIMILAR.row(
                source=SOURCE,
                source_key=mbid,
                other_key=row.artist_mbid,
                score=row.score / most,
                observed_at=at,
            ),
        )


def _artist(mbid: str, name: str, at: datetime) -> tuple[Table, Row]:
    return ARTISTS, ARTISTS.row(
        source=SOURCE, source_key=mbid, name=name, mbid=mbid, observed_at=at
    )
