"""Plays behind a cursor of time: shared by sources that give pages after or before a moment."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from batch.collectors.checkpoints import Checkpoints
from batch.collectors.errors import ShapeBroken, SourceRefused
from batch.collectors.fetcher import Fetcher
from batch.collectors.plays import Deliver, Progress, Refused, begin, unseen
from batch.collectors.shape import read_counting
from batch.collectors.tally import count
from contracts.ids import user_key
from contracts.posted import PostedPlay

#: Identities remembered; more than any page holds.
_REMEMBERED = 2000


class Cursor(msgspec.Struct):
    """How far a listener's plays were read.

    Attributes
    ----------
    after
        Everything up to here was delivered; in the source's own unit of time.
    recent
        Identities of the plays delivered lately: the next page may repeat some of them.
    """

    run: str
    after: int = 0
    step: int = 0
    recent: list[str] = []
    delivered: int = 0


class Page(msgspec.Struct):
    """A page as the source's reader understood it; ``after`` is where the next one begins."""

    rows: list[PostedPlay | Refused]
    after: int
    finished: bool


#: ``(answer, moment asked for, rows left out of the answer)`` -> page.
Reader = Callable[[msgspec.Struct, int, int], Page]


async def follow(
    fetcher: Fetcher,
    checkpoints: Checkpoints,
    user: str,
    path: str,
    params: Callable[[int], dict[str, str]],
    contract: type[msgspec.Struct],
    reader: Reader,
    deliver: Deliver,
    *,
    since: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Cursor:
    """Deliver plays page by page, older ones first, until the source has no newer ones.

    Each step is: answer into the archive, plays to the platform, checkpoint.

    Parameters
    ----------
    params
        Parameters of the request for what lies after a moment.
    reader
        Turns an answer, the moment that was asked for, and how many rows of the answer could not be
        read, into a page.
    since
        Read again from this moment on, in the source's own unit of time.
    """
    name = f"plays/{user}"
    cursor = checkpoints.load(name, Cursor)
    if cursor is None or since is not None:
        run = f"plays-{user_key(user):016x}-{int(time.time() * 1000)}"
        cursor = Cursor(run, after=begin(since, cursor.after if cursor else None))
        checkpoints.save(name, cursor)
    fetcher.archive.begin(cursor.run)
    while True:
        record = await fetcher.get(str(cursor.step), path, params(cursor.after))
        if record is None:
            checkpoints.save(name, msgspec.structs.replace(cursor, step=cursor.step + 1))
            raise SourceRefused(f"{fetcher.source.name} has nothing for {user!r}: does it exist?")
        try:
            answer = read_counting(record.body, contract, fetcher.tally)
            page = reader(answer.value, cursor.after, len(answer.broken))
        except ShapeBroken:
            checkpoints.save(name, msgspec.structs.replace(cursor, step=cursor.step + 1))
            raise
        for row in page.rows:
            if isinstance(row, Refused):
                count(fetcher.tally.rejected, row.reason)
        plays = (row for row in page.rows if isinstance(row, PostedPlay))
        fresh = unseen(plays, set(cursor.recent))
        if fresh:
            await deliver(list(fresh.values()))
        cursor = msgspec.structs.replace(
            cursor,
            after=page.after,
            step=cursor.step + 1,
            recent=[*cursor.recent, *fresh][-_REMEMBERED:],
            delivered=cursor.delivered + len(fresh),
        )
        checkpoints.save(name, cursor)
        progress(cursor.delivered, cursor.delivered)
        if page.finished:
            return cursor
