"""Posting plays over HTTP: each listener's plays in order, failures retried until they are in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from batch.posting import BATCH, LANES, Poster, open_client
from contracts.ids import event_id, partition_of
from infra.operations.interactions import InteractionLog


@dataclass(slots=True)
class Posted:
    """What came of posting.

    Attributes
    ----------
    accepted
        Event ids the API has taken responsibility for.
    rejected
        Count of refused plays by reason.
    retries
        Requests that had to be sent again (the API was down, or answered 429 or 503).
    """

    accepted: set[str] = field(default_factory=set)
    rejected: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    seconds: float = 0.0


async def post(
    data: InteractionLog,
    *,
    api: str,
    token: str,
    collection: str,
    rate: float | None,
    give_up_after: float,
    progress: Callable[[int], None],
) -> Posted:
    """Send every interaction as a play and return what the API answered.

    Plays are split over connections by listener, so that each listener's stay in order.

    Parameters
    ----------
    collection
        Used as the artist if the file has no names.
    rate
        Plays per second, or ``None`` for as fast as the API takes them.
    give_up_after
        Seconds one request may keep failing before the replay stops.

    Raises
    ------
    StoreUnavailable
        The API did not come back in time.
    ConfigurationError
        The API refuses permanently (wrong token, wrong address).
    """
    posted = Posted()
    started = time.monotonic()
    lanes: list[list[int]] = [[] for _ in range(LANES)]
    for row, user in enumerate(data.users):
        lanes[partition_of(user, LANES)].append(row)

    async def run(lane: list[int], poster: Poster) -> None:
        for start in range(0, len(lane), BATCH):
            rows = lane[start : start + BATCH]
            if rate is not None:
                # The last row of the batch is due when the whole file has come that far.
                delay = started + rows[-1] / rate - time.monotonic()
                await asyncio.sleep(max(0.0, delay))
            body = _body(data, rows, collection)
            for result in await poster.send(body):
                if result.status == "accepted":
                    posted.accepted.add(result.event_id)
                else:
                    reason = result.reason or result.status
                    posted.rejected[reason] = posted.rejected.get(reason, 0) + 1
            progress(len(rows))

    async with open_client(api, token) as client:
        poster = Poster(client, give_up_after)
        try:
            await asyncio.gather(*(run(lane, poster) for lane in lanes))
        finally:
            posted.retries = poster.retries
    posted.seconds = time.monotonic() - started
    return posted


def _body(data: InteractionLog, rows: list[int], collection: str) -> bytes:
    plays = []
    for row in rows:
        artist, title = data.name(row, collection)
        plays.append(
            {
                "user": data.users[row],
                "artist": artist,
                "title": title,
                "played_at": int(data.seconds[row]) * 1000,
                "source": "segue-replay/1",
            }
        )
    return msgspec.json.encode({"plays": plays})


def expected_ids(data: InteractionLog, collection: str) -> set[str]:
    """Return the event ids the file's plays must get, computed without asking the API."""
    return {
        event_id(user, second * 1000, *data.name(row, collection))
        for row, (user, _, second) in enumerate(data.iter_rows())
    }
