"""Posting plays over HTTP: each listener's plays in order, failures retried until they are in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import msgspec

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.ids import event_id, partition_of
from infra.interactions import Interactions

#: Plays per request; the API accepts up to 1,000.
BATCH = 500
CONNECTIONS = 4
_RETRY_SECONDS = 0.25


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
        Requests that had to be sent again (the API was down, or said 429 or 503).
    """

    accepted: set[str] = field(default_factory=set)
    rejected: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    seconds: float = 0.0


class _Result(msgspec.Struct):
    status: str
    event_id: str = ""
    reason: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


_ANSWER = msgspec.json.Decoder(_Answer)


async def post(
    data: Interactions,
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
        Stands in for the artist where the file has no names.
    rate
        Plays per second, or ``None`` for as fast as the API takes them.
    give_up_after
        Seconds one request may keep failing before the replay stops.

    Raises
    ------
    StoreUnavailable
        The API did not come back in time.
    ConfigurationError
        The API refuses us for good (wrong token, wrong address).
    """
    posted = Posted()
    started = time.monotonic()
    lanes: list[list[int]] = [[] for _ in range(CONNECTIONS)]
    for row, user in enumerate(data.users):
        lanes[partition_of(user, CONNECTIONS)].append(row)

    async def run(lane: list[int], client: httpx.AsyncClient) -> None:
        for start in range(0, len(lane), BATCH):
            rows = lane[start : start + BATCH]
            if rate is not None:
                # The last row of the batch is due when the whole file has come that far.
                delay = started + rows[-1] / rate - time.monotonic()
                await asyncio.sleep(max(0.0, delay))
            body = _body(data, rows, collection)
            answer = await _send(client, body, give_up_after, posted)
            for result in answer.results:
                if result.status == "accepted":
                    posted.accepted.add(result.event_id)
                else:
                    reason = result.reason or result.status
                    posted.rejected[reason] = posted.rejected.get(reason, 0) + 1
            progress(len(rows))

    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=60.0) as client:
        await asyncio.gather(*(run(lane, client) for lane in lanes))
    posted.seconds = time.monotonic() - started
    return posted


async def _send(
    client: httpx.AsyncClient, body: bytes, give_up_after: float, posted: Posted
) -> _Answer:
    deadline = time.monotonic() + give_up_after
    while True:
        try:
            response = await client.post("/v1/plays", content=body)
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            if response.status_code in (202, 400):
                try:
                    return _ANSWER.decode(response.content)
                except msgspec.DecodeError:
                    raise ConfigurationError(
                        f"{client.base_url} refused the plays: {response.text[:300]}"
                    ) from None
            if response.status_code not in (429, 500, 502, 503, 504):
                raise ConfigurationError(
                    f"{client.base_url} answered {response.status_code}: {response.text[:300]}"
                )
            problem = f"HTTP {response.status_code}"
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"the API at {client.base_url} did not come back: {problem}")
        posted.retries += 1
        await asyncio.sleep(_RETRY_SECONDS)


def _body(data: Interactions, rows: list[int], collection: str) -> bytes:
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


def expected_ids(data: Interactions, collection: str) -> set[str]:
    """Return the event ids the file's plays must get, computed without asking the API."""
    return {
        event_id(user, second * 1000, *data.name(row, collection))
        for row, (user, _, second) in enumerate(data.iter_rows())
    }
