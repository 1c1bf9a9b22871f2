"""The learner worker: folds the whole log of plays into this host's model.

Three offsets per partition, always in this order: *committed* to Kafka, held by the newest
*snapshot* on disk, and *live* in the mapped arrays. A killed learner loses the arrays, starts from
the snapshot and reads on from the offsets the snapshot itself holds; readers keep the old file
until the new one has caught up. Rows survive a new log: its offsets simply begin at none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from faust.types import TP

from contracts.errors import BrokerUnavailable
from contracts.events import Play, Submission
from contracts.ids import artist_key, id_key, user_key
from contracts.kafka import end_offsets
from contracts.placeholders import named_key
from contracts.plays import heard
from contracts.settings import Settings
from contracts.workers import LEARNER
from online_model import ModelConfig, ModelDirectory, Recommender, TrackNames
from streams.dead_letters import DeadLetters
from streams.decode import Batch, Record
from streams.follow import follow
from streams.forgetting import Forgetting
from streams.judging import Judge
from streams.listeners import pieces
from streams.model_uploads import ModelUploads, fetch_first
from streams.steps import SNAPSHOT_WRITTEN, reach
from streams.suspects import SuspectFollower, without
from streams.views import Views
from streams.worker import Worker, run_worker

log = logging.getLogger(__name__)

#: The event loop waits while a piece is learned: some 50 ms of work.
_MOST_BYTES = 256 * 1024
#: A snapshot is due at the latest after so many plays: they are learned again in about a minute.
_SNAPSHOT_PLAYS = 500_000


class Columns(NamedTuple):
    """Plays as the model takes them; all of shape ``(n,)``."""

    users: npt.NDArray[np.uint64]
    tracks: npt.NDArray[np.uint64]
    seconds: npt.NDArray[np.int64]
    ratios: npt.NDArray[np.uint8]
    plays: list[Play]


def columns(batch: Batch[Submission]) -> Columns:
    """Return the plays of a batch, in log order, as arrays.

    Plays whose names stand for no name ("Unknown Artist") are left out: they say nothing of a song.
    """
    plays: list[Play] = []
    users: list[int] = []
    keys: list[int] = []
    for _, submission in batch.messages:
        for play in submission.plays:
            if key := named_key(play.artist, play.title):
                plays.append(play)
                keys.append(key)
        users += [user_key(submission.user_id)] * (len(plays) - len(users))
    return Columns(
        users=np.array(users, np.uint64),
        tracks=np.array(keys, np.uint64),
        seconds=np.array([p.played_at // 1000 for p in plays], np.int64),
        ratios=np.array([heard(p.ms_played, p.duration_ms, p.skipped) for p in plays], np.uint8),
        plays=plays,
    )


def document(play: Play) -> bytes:
    """Return the document of a track that lists show, encoded once."""
    return msgspec.json.encode(
        {"track_id": play.track_id, "artist": play.artist, "title": play.title}
    )


def learn(model: Recommender, batch: Batch[Submission]) -> dict[str, float]:
    """Fold a batch into the model; returns counts by name."""
    c = columns(batch)
    if not c.plays:
        return {"plays": 0}

    def name(position: int) -> TrackNames:
        play = c.plays[position]
        return TrackNames(id_key(play.track_id), artist_key(play.artist), document(play))

    stats = model.learn_plays(c.users, c.tracks, c.seconds, c.ratios, name=name)
    return {
        "plays": len(c.plays),
        "learned": stats.learned,
        "duplicate": stats.duplicates,
        "late": stats.late,
        "tracks": stats.met,
    }


def warm_up() -> None:
    """Have the model's kernels compiled before the group counts on this process.

    Compiling takes a minute on a new machine (the result is cached) and holds the interpreter:
    heartbeats to Kafka would stop.
    """
    model = Recommender(ModelConfig(tracks=64, listeners=8))
    submission = Submission(
        user_id="warm-up",
        plays=[
            Play(
                event_id="",
                track_id=f"{i % 5}",
                artist="A",
                title=f"{i % 5}",
                played_at=1_000_000 * i,
                received_at=0,
                source="",
            )
            for i in range(40)
        ],
    )
    learn(model, Batch(0, 0, 0, 0, [(0, submission)], []))


class ModelFold:
    """The model as a fold of ``plays`` (see streams.follow.Fold).

    Parameters
    ----------
    log_id, erasures_id
        Identities of the logs of ``plays`` and ``erasures``.
    """

    def __init__(self, worker: Worker, log_id: str, erasures_id: str) -> None:
        settings = worker.settings
        self.topics = [worker.topics.plays]
        self._settings = settings
        self._status = worker.status
        self._decoder = worker.decoder
        self._log_id = log_id
        self._partitions = settings.partitions
        self._letters = DeadLetters(settings, worker.name)
        self._directory = ModelDirectory(settings.paths.model)
        # Policy: what no person played is not learned, so it is not popular either.
        self._suspects: SuspectFollower | None = None
        if settings.flink:
            self._suspects = SuspectFollower(settings, worker.decoder.erased)
            self._suspects.read_whole()
        fetch_first(worker, self._directory, log_id)
        # It waits where there is no room for the arrays, as for a store that is away.
        self._model = worker.patiently(self._directory.resume, "model")
        for error in self._directory.refused:
            log.warning("snapshot skipped: %s; the model learns its plays from Kafka again", error)
        self._views = Views(settings)
        self._forgetting = Forgetting(worker, self._model, self._directory, erasures_id)
        self._uploads = ModelUploads(worker, log_id, self._forgetting)
        self._live = self._model_positions()
        self._durable = dict(self._live)
        self._saving: tuple[Future[Path], dict[TP, int]] | None = None
        self._unsaved = 0
        self._saved_at = time.monotonic()
        self._judge = Judge(self._model, settings.paths.quality_history)
        self._ends: dict[TP, int] | None = None
        self._published = not (settings.paths.model / "current").exists()
        if self._published:  # nobody serves yet: an empty model is better than none
            self._publish()
        log.info(
            "the model has learned %d plays; it continues at offsets %s",
            self._model.plays_learned,
            self._live,
        )

    def _model_positions(self) -> dict[TP, int]:
        offsets = self._model.offsets
        return {
            TP(self.topics[0], p): offsets.get((self._log_id, p), -1) + 1
            for p in range(self._partitions)
        }

    async def positions(self) -> dict[TP, int]:
        """Return the next offset of every partition, from the model itself."""
        self._report()
        return dict(self._live)

    async def apply(self, tp: TP, start: int, records: list[Record]) -> None:
        """Learn a run of messages, in pieces between which the event loop breathes."""
        for piece in pieces(records, _MOST_BYTES):
            batch = self._decode(piece, tp.partition, start)
            if batch.rejected:
                count = await asyncio.to_thread(
                    self._letters.send, tp.topic, tp.partition, batch.rejected
                )
                self._status.add(dead_letters=count)
                batch = self._decode(piece, tp.partition, start)  # may skip listeners erased since
            if self._suspects is not None:
                self._status.add(suspect_plays=without(batch, self._suspects.suspects))
            # No await since the last decoding: an erasure in between would be undone by plays that
            # were decoded before it, and the arrays and their offset change together.
            counts = learn(self._model, batch)
            self._model.set_offset(self._log_id, tp.partition, batch.last)
            start = self._live[tp] = batch.last + 1
            self._unsaved += int(counts["plays"])
            self._status.add(messages=len(piece), **counts)
            self._report()
            await asyncio.sleep(0)

    def _decode(self, piece: list[Record], partition: int, start: int) -> Batch[Submission]:
        """Decode messages; every erasure that the decoder honours is applied to the model."""
        while True:
            self._forgetting.apply()
            batch = self._decoder.plays(piece, partition=partition, start=start)
            if self._forgetting.complete:  # else one was read after apply()
                return batch

    def _report(self) -> None:
        self._status.offsets.update({f"{t.topic}:{t.partition}": o for t, o in self._live.items()})

    def durable(self) -> dict[TP, int]:
        """Return what the newest snapshot on disk holds."""
        return self._durable

    async def tick(self) -> None:
        """Take in new views, publish once caught up, save a snapshot when one is due."""
        loaded = await self._views.look(self._model)  # other tasks learn and count plays
        self._unsaved += len(loaded)
        for name, generation in self._model.views.items():
            self._status.counters[f"{name}_view"] = generation
        self._status.counters |= await self._judge.look()
        if not self._published:
            await self._publish_when_caught_up()
        self._reap()
        erased = self._forgetting.apply()
        self._unsaved += int(erased)
        due = erased or time.monotonic() - self._saved_at >= self._settings.snapshot_seconds
        if self._saving is None and self._unsaved and (due or self._unsaved >= _SNAPSHOT_PLAYS):
            self._save()

    async def _publish_when_caught_up(self) -> None:
        if self._ends is None:
            try:
                ends = await asyncio.to_thread(end_offsets, self._settings, self.topics[0])
            except BrokerUnavailable:  # asked again at the next tick
                return
            self._ends = {TP(self.topics[0], p): end for p, end in enumerate(ends)}
        if all(self._live[tp] >= end for tp, end in self._ends.items()):
            self._publish()
            self._published = True
            log.info("caught up: generation %d is served", self._model.generation)

    def _publish(self) -> None:
        self._directory.publish(self._model)
        self._forgetting.serve()

    def _save(self) -> None:
        """Copy the arrays now and write them in a thread."""
        self._forgetting.snapshot_begins()
        self._uploads.snapshot_begins()
        self._saving = self._directory.snapshot_later(self._model), dict(self._live)
        self._saved_at = time.monotonic()
        self._unsaved = 0

    def _reap(self) -> None:
        """Take note of a snapshot that is on disk."""
        if self._saving is not None and self._saving[0].done():
            future, offsets = self._saving
            self._saving = None
            try:
                path = future.result()
            except OSError as error:  # a full disk: the log is still there, try again
                self._unsaved += 1
                self._forgetting.snapshot_failed()
                self._status.waits("snapshot", f"snapshot: {error}")
                return
            reach(SNAPSHOT_WRITTEN)
            self._durable = offsets
            self._forgetting.snapshot_is_written(path)
            self._uploads.snapshot_is_written(path)
            self._status.add(snapshots=1)
            self._status.goes_on("snapshot")

    async def close(self) -> None:
        """Save what is not saved yet, and wait until it is on disk."""
        if self._saving is not None:
            await asyncio.to_thread(self._directory.close)
            self._reap()
        if self._unsaved:
            self._save()
            await asyncio.to_thread(self._directory.close)
            self._reap()


def body(worker: Worker) -> None:
    """Follow ``plays`` until the worker has to stop."""
    log_ids = worker.find_logs()
    ids = log_ids[worker.topics.plays], log_ids[worker.topics.erasures]
    worker.status.set_state("starting", "compiling the model")
    warm_up()
    group = f"{worker.settings.namespace}.learner.{worker.settings.host_name}"
    follow(worker, lambda: ModelFold(worker, *ids), group, log_ids)


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, LEARNER.name, body)
