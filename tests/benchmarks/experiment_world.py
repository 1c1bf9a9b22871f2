"""Listeners with a known truth, as messages of the log: what ``segue bench experiments`` judges.

Arms come from the API's own assignment, drafted lists from its own draft, messages go through the
decoder and the sink of the lake. Some plays are sent twice, some land days late.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from api.serving.arms import Arms
from contracts.erased import Erased
from contracts.events import Play, Submission
from contracts.events import encode as encode_submission
from contracts.experiments import INTERLEAVED, PREFERENCE, Definition, definition_of
from contracts.ids import event_id, partition_of, track_id
from contracts.impressions import Impression, encode, pack
from contracts.labels import NO_ARM
from contracts.lake_tables import lake_table
from contracts.settings import Settings
from contracts.topics import Kind
from online_model.exploration import seed_of
from online_model.interleaving import draft
from streams.decode import Decoder, Record
from streams.lake_sink import LakeSink

PARTITIONS = 4
#: Days of listening before the experiments start, and from then to their end.
BEFORE, DURING = 6, 10
#: Tastes are beta distributed: chance that a list is played.
TASTE = (2.0, 6.0)
#: Messages held before they are written to the lake.
HELD = 40_000
_DAY = 86_400_000
_ARTIST = "Air"


def definition(key: str, *, arms: int = 2, interleaved: bool = False) -> Definition:
    """Return an experiment whose arms change nothing."""
    drafted = {
        "design": INTERLEAVED, "layer": INTERLEAVED, "metric": PREFERENCE, "guardrails": [],
    }  # fmt: skip
    made = {
        "key": key,
        "layer": key,
        "hypothesis": "None.",
        "metric": "hit_through",
        "planned_end": "2099-01-01T00:00:00Z",
        "arms": [{"name": f"arm{n}", "weight": 1 / arms} for n in range(arms)],
    }
    return definition_of(json.dumps(made | (drafted if interleaved else {})))


class World:
    """Writes what listeners did to the lake of a deployment.

    Parameters
    ----------
    started
        When the experiments started, milliseconds since the epoch.

    Attributes
    ----------
    rows
        Rows written to the lake so far.
    """

    def __init__(self, settings: Settings, seed: int, started: int) -> None:
        self.settings = settings
        self.started = started
        self._draw = random.Random(seed)
        self.rows = 0
        self._held: dict[Kind, dict[int, list[bytes]]] = {
            kind: defaultdict(list) for kind in (Kind.PLAYS, Kind.IMPRESSIONS)
        }
        self._decoder = Decoder(Erased(), PARTITIONS)
        self._sinks: dict[Kind, LakeSink[Any]] = {
            kind: LakeSink(lake_table(settings, kind.table), "log", PARTITIONS)
            for kind in self._held
        }
        settings.paths.lake.mkdir(parents=True, exist_ok=True)

    def listen(
        self,
        users: Sequence[str],
        definitions: Sequence[Definition],
        *,
        lift: float = 0.0,
        lost: tuple[frozenset[str], float] = (frozenset(), 0.0),
    ) -> None:
        """Let listeners ask for lists and play from them.

        Parameters
        ----------
        lift
            Share by which listeners of ``arm1`` of the last experiment play more of their lists.
        lost
            Experiments that lose the lists of a share of the listeners of ``arm1``.
        """
        arms = Arms(pool=None)  # type: ignore[arg-type]  # definitions are given, not read
        arms.run([msgspec.json.encode(made).decode() for made in definitions])
        drafted = definitions[-1].design == INTERLEAVED
        for user in users:
            labels = arms.asked(user, b"").arm.split(";")
            kept = [
                one
                for one in labels
                if not (
                    one.partition("=")[0] in lost[0]
                    and one.endswith("=arm1")
                    and self._draw.random() < lost[1]
                )
            ]
            taste = self._draw.betavariate(*TASTE)
            more = 1 + lift * (labels[-1] == f"{definitions[-1].key}=arm1")
            for _ in range(2 + int(self._draw.expovariate(0.2)) + 2 * (not drafted)):
                # A drafted list compares both arms itself: the time before would not be used.
                since = 0 if drafted else -BEFORE
                at = self.started + int(self._draw.uniform(since, DURING) * _DAY)
                running = at >= self.started
                self._list(
                    user,
                    at,
                    ";".join(kept) if running and kept else NO_ARM,
                    min(1.0, taste * (more if running else 1.0)),
                    drafted=drafted and running,
                )

    def _list(self, user: str, at: int, arm: str, chance: float, *, drafted: bool) -> None:
        draw = self._draw
        impression_id = str(UUID(bytes=draw.randbytes(16), version=4))
        rows = np.array(draw.sample(range(40), 4), np.int32)
        teams: Any = msgspec.UNSET
        if drafted:
            # Both rank the same tracks in orders of their own: neither is better.
            other = np.array(draw.sample(rows.tolist(), 4), np.int32)
            made = draft(rows, other, 4, seed_of(impression_id))
            teams = "".join(map(str, made.teams.tolist()))
            rows = np.where(made.teams == 1, other[made.positions], rows[made.positions])
        ones = np.ones(len(rows), np.float32)
        impression = Impression(
            impression_id=impression_id,
            user_id=user,
            at=at,
            generation=1,
            offset=1,
            tracks=[track_id(_ARTIST, f"T{n}") for n in rows.tolist()],
            numbers=pack(ones, ones, np.zeros((len(rows), 0), np.float32)),
            teams=teams,
            arm=arm,
            degraded=draw.random() < 0.1,
        )
        self._log(Kind.IMPRESSIONS, user, encode(impression))
        if draw.random() < chance:
            title = f"T{draw.choice(rows.tolist())}"
            heard = draw.choice([5_000, 200_000, 200_000, 200_000])
            self._play(user, at + 300_000, title, heard, impression_id)
        self._play(user, at + 5_400_000, f"O{draw.randrange(9)}", 100_000, None)

    def _play(self, user: str, at: int, title: str, heard: int, impression: str | None) -> None:
        play = Play(
            event_id=event_id(user, at, _ARTIST, title),
            track_id=track_id(_ARTIST, title),
            artist=_ARTIST,
            title=title,
            played_at=at,
            received_at=at + 1_000 + (3 * _DAY if self._draw.random() < 0.01 else 0),
            source="bench/1",
            ms_played=heard,
            duration_ms=210_000,
            impression_id=impression,
        )
        value = encode_submission(Submission(user_id=user, plays=[play]))
        for _ in range(2 if self._draw.random() < 0.01 else 1):
            self._log(Kind.PLAYS, user, value)

    def _log(self, kind: Kind, user: str, value: bytes) -> None:
        held = self._held[kind]
        held[partition_of(user, PARTITIONS)].append(value)
        if sum(map(len, held.values())) >= HELD:
            self._land(kind)

    def land(self) -> None:
        """Write the waiting messages to the lake."""
        for kind in self._held:
            self._land(kind)

    def _land(self, kind: Kind) -> None:
        """Write the messages of one topic to the lake as its sink does."""
        sink, held = self._sinks[kind], self._held[kind]
        next_offset = sink.positions()
        batches = [
            self._decoder.of(kind)(
                _records(values, next_offset[partition]),
                partition=partition,
                start=next_offset[partition],
            )
            for partition, values in sorted(held.items())
        ]
        assert not any(batch.rejected for batch in batches)
        self.rows += sink.write(batches) if batches else 0
        held.clear()


def _records(values: list[bytes], start: int) -> Iterator[Record]:
    return (Record(offset, value) for offset, value in enumerate(values, start))


def now() -> int:
    """Return milliseconds since the epoch."""
    return int(time.time() * 1000)
