"""Collecting a listener's plays: the walk of :mod:`batch.collectors.lastfm.walk`, made durable.

Each step is: answer into the archive, plays to the platform, checkpoint. A kill after the first is
resumed from the archive without asking again; a kill after the second delivers one page twice,
which the plays' ids make harmless.
"""

from __future__ import annotations

import time

import msgspec

from batch.collectors.checkpoints import Checkpoints
from batch.collectors.errors import ShapeBroken, SourceRefused
from batch.collectors.fetcher import Fetcher
from batch.collectors.lastfm.contract import RecentTracksAnswer, rows
from batch.collectors.lastfm.plays import read_row
from batch.collectors.lastfm.source import PATH
from batch.collectors.lastfm.walk import Walk, advance
from batch.collectors.plays import Deliver, Progress, Refused, begin
from batch.collectors.shape import read
from batch.collectors.tally import count
from contracts.ids import user_key
from contracts.posted import PostedPlay


async def collect_plays(
    fetcher: Fetcher,
    checkpoints: Checkpoints,
    user: str,
    deliver: Deliver,
    *,
    since: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Walk:
    """Deliver every play of a Last.fm listener that was not delivered yet, oldest first.

    Parameters
    ----------
    since
        Read again from this second on (for plays scrobbled late, which lie before the
        checkpoint); ``None``, or a moment after the checkpoint, resumes at the checkpoint.

    Raises
    ------
    SourceUnavailable, SourceRefused, ShapeBroken
        The checkpoint is stored; the next call resumes there.
    """
    name = f"plays/{user}"
    walk = checkpoints.load(name, Walk)
    if walk is None or walk.finished or since is not None:
        walk = _begin(user, walk, since)
        checkpoints.save(name, walk)
    fetcher.archive.begin(walk.run)
    refused: set[str] = set()
    while not walk.finished:
        record = await fetcher.get(str(walk.step), PATH, walk.params(user))
        # The archive keeps an answer that ends the run, but the next call must not read it: it
        # requests the page again.
        asked_again = msgspec.structs.replace(walk, step=walk.step + 1)
        if record is None:
            checkpoints.save(name, asked_again)
            raise SourceRefused(f"Last.fm knows no listener {user!r}")
        try:
            answer = read(record.body, RecentTracksAnswer, fetcher.tally).recenttracks
            if answer.track is None and answer.attr.total:
                raise ShapeBroken(f"{answer.attr.total} plays, and no list of them")
        except ShapeBroken:
            checkpoints.save(name, asked_again)
            raise
        read_rows = [read_row(row) for row in rows(answer.track)]
        plays = [row for row in read_rows if isinstance(row, PostedPlay)]
        for row in read_rows:
            if isinstance(row, Refused) and row.raw not in refused:
                refused.add(row.raw)
                count(fetcher.tally.rejected, row.reason)
        fresh, after = advance(walk, answer.attr, plays)
        if fresh:
            await deliver(fresh)
        walk = after
        checkpoints.save(name, walk)
        left = (walk.page if walk.total is not None else 0) * len(plays)
        progress(walk.delivered, walk.delivered + left)
    return walk


def _begin(user: str, before: Walk | None, since: int | None) -> Walk:
    now_ms = int(time.time() * 1000)
    walk = Walk(run=f"plays-{user_key(user):016x}-{now_ms}", until=now_ms // 1000)
    start = begin(since, before.newest if before else None)
    # Of plays that are asked for again, none was seen.
    recent = before.recent if before is not None and since is None else []
    return msgspec.structs.replace(walk, since=start, newest=start, recent=recent)
