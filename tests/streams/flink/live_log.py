"""A log that looks live: plays with believable delays, bundles, repeats, bots and bad messages.

Of every hundred plays ninety arrive within a minute, nine within the hour (the phone was offline)
and one days later; two are sent twice. Seeded: the same log each time.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import Producer

from contracts.events import Play, Submission, encode
from contracts.ids import event_id, partition_of, track_id
from infra.operations.interactions import InteractionLog
from tests.plays import interactions

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass
class LiveLog:
    """Messages ``(received_at, user, value)`` in the order in which a broker gets them."""

    messages: list[tuple[int, str, bytes]] = field(default_factory=list)
    bad: int = 0

    def write(self, bootstrap: str, topic: str, partitions: int) -> None:
        """Produce everything, each listener to the partition that is theirs."""
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "acks": "all"})
        for _, user, value in self.messages:
            producer.produce(topic, value, user.encode(), partition_of(user, partitions))
            producer.poll(0)
        assert producer.flush(60) == 0


def synthetic(plays: int, hourly: int = 100) -> InteractionLog:
    """Return made-up plays of 120 listeners, some `hourly` an hour: some days, with gaps."""
    dense = interactions(plays, listeners=120)  # one a second
    apart = 3600 // hourly * (dense.seconds - dense.seconds[0])
    return replace(dense, seconds=dense.seconds[0] + apart)


def make(plays: InteractionLog, seed: int = 7) -> LiveLog:
    """Return a log of these plays, and of a few bots and bad messages besides."""
    rng = random.Random(seed)
    sent: dict[tuple[int, str], list[Play]] = {}
    rows = [
        (user, *plays.name(row, "artist"), second * 1000)
        for row, (user, _, second) in enumerate(plays.iter_rows())
    ]
    rows += _bots(plays.seconds[len(plays) // 2].item() // 3600 * 3_600_000)
    for user, artist, title, at in sorted(rows, key=lambda r: (r[3], r[0])):
        for _ in range(2 if rng.random() < 0.02 else 1):
            received = _received(rng, at)
            sent.setdefault((received, user), []).append(play(user, artist, title, at, received))
    log = LiveLog()
    for (received, user), mine in sorted(sent.items(), key=lambda item: item[0]):
        for first in range(0, len(mine), 200):
            part = mine[first : first + 200]
            log.messages.append((received, user, message(user, part)))
    for place, value in enumerate(_bad(plays.users[0])):
        log.messages.insert((place + 1) * len(log.messages) // 6, (0, plays.users[0], value))
        log.bad += 1
    return log


def _received(rng: random.Random, at: int) -> int:
    """Return when a play arrives; a phone that was offline sends a quarter of an hour at once."""
    draw = rng.random()
    if draw < 0.90:
        return at + rng.randrange(MINUTE)
    if draw < 0.99:
        exact = at + rng.randrange(MINUTE, HOUR)
        bundled = exact // (15 * MINUTE) * 15 * MINUTE + 15 * MINUTE - 1
        return bundled if bundled - at <= HOUR else exact
    return at + rng.randrange(HOUR + 1, 5 * DAY)


def message(user: str, plays: list[Play]) -> bytes:
    """Return the value of a message."""
    return encode(Submission(user_id=user, plays=plays))


def play(user: str, artist: str, title: str, at: int, received: int) -> Play:
    """Return a play with the ids that the API gives it."""
    return Play(
        event_id=event_id(user, at, artist, title),
        track_id=track_id(artist, title),
        artist=artist,
        title=title,
        played_at=at,
        received_at=received,
        source="test/1",
    )


def _bots(start: int) -> list[tuple[str, str, str, int]]:
    """Return ``(user, artist, title, ms)`` of bots, and of pauses of exactly the session gap."""
    fast = [("bot-fast", "fast", f"song {n}", start + 7000 * n) for n in range(14)]
    one = [("bot-one", "one", "song", start + 200_000 * n) for n in range(45)]
    farm = [
        (f"farm-{account}", "farm", f"song {n}", start + 300_000 * n)
        for account in range(8)
        for n in range(8)
    ]
    gap = [("gapper", "gap", f"song {n}", start + 1_800_000 * n) for n in range(4)]
    return fast + one + farm + gap


def _bad(user: str) -> list[bytes]:
    """Return messages nobody can use; one of them claims to come from the far future."""
    odd: dict[str, Any] = {
        "event_id": "no-uuid", "track_id": "t", "artist": "a", "title": "b", "source": "x",
        "played_at": 1, "received_at": 9_000_000_000_000_000,
    }  # fmt: skip
    return [
        b"{not json",
        b"\xff\xfe\x00",
        b'{"user_id": 3}',
        json.dumps({"user_id": user, "plays": [odd], "version": 1}).encode(),
        json.dumps({"user_id": user, "plays": [], "version": 1}).encode(),
    ]
