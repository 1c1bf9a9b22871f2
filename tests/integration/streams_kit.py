"""What the stream tests share: their own namespace, workers as real processes, a true count."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts import redis_client
from contracts.dead_letters import read
from contracts.events import DeadLetter, Submission, encode
from contracts.features import Keys
from contracts.ids import partition_of
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.process import Process, python, wait_until
from infra.stack.progress import wait_applied
from infra.stack.server import Server
from infra.stack.tansu import Tansu
from streams.fold import pack_plays
from tests.streams.plays import submission
from tests.streams.reference import reference_fold


@dataclass
class Kit:
    """One deployment on shared servers.

    Attributes
    ----------
    sent
        Every good submission that was produced, in order.
    others
        How many messages of feedback, and of impressions, were produced.
    """

    settings: Settings
    sent: list[Submission] = field(default_factory=list)
    others: int = 0
    workers: list[Process] = field(default_factory=list)
    log_ids: dict[str, str] = field(default_factory=dict)

    @property
    def plays(self) -> str:
        return Topics(self.settings.namespace).plays

    @property
    def log_id(self) -> str:
        return self.log_ids[self.plays]

    @property
    def keys(self) -> Keys:
        return Keys(self.settings.namespace, self.settings.partitions)

    @property
    def redis(self) -> redis.Redis:
        return redis_client.client(self.settings.redis_url)

    def make_topics(self) -> None:
        topics = Topics(self.settings.namespace).configs()
        self.log_ids = ensure_topics(self.settings, topics)

    def start(self, name: str, *, kill_at: str = "", **changes: object) -> Process:
        """Start a worker; it kills itself with SIGKILL at a step (:mod:`streams.steps`)."""
        settings = replace(self.settings, **changes) if changes else self.settings  # type: ignore[arg-type]
        env = {**os.environ, **settings.environ(), "STREAMS_KILL_AT": kill_at}
        label = f"{name}-{len(self.workers)}"
        process = Process(
            label,
            python("infra.cli.commands.worker", name),
            self.settings.home / "logs" / f"{label}.log",
            env=env,
        )
        process.start()
        self.workers.append(process)
        return process

    def kill(self, process: Process) -> None:
        assert process.pid is not None, process.tail(30)
        process.stop(signal.SIGKILL)

    def wait_killed(self, *processes: Process, timeout: float = 90.0) -> None:
        """Wait until workers have reached the step at which they kill themselves."""
        for process in processes:
            assert process.wait(timeout), process.tail(30)
            assert process.exit_code == -signal.SIGKILL, process.tail(30)

    def stop(self, process: Process) -> None:
        """Stop in order; the promise is exit code 0 within 15 seconds."""
        assert process.pid is not None, process.tail(30)
        assert process.stop(signal.SIGTERM, 15.0) == 0, process.tail(30)

    def close(self) -> None:
        for process in self.workers:
            process.stop(signal.SIGKILL)

    def send(self, *values: Submission | tuple[int, bytes | None]) -> None:
        """Produce submissions, or ``(partition, raw bytes)``, and wait for the broker."""
        producer = Producer(
            {"bootstrap.servers": self.settings.kafka, "acks": "all", "linger.ms": 5}
        )
        for value in values:
            if isinstance(value, Submission):
                self.sent.append(value)
                home = partition_of(value.user_id, self.settings.partitions)
                producer.produce(self.plays, encode(value), value.user_id.encode(), home)
            else:
                producer.produce(self.plays, value[1], b"key", value[0])
            producer.poll(0)
        assert producer.flush(30) == 0

    def send_random(self, count: int, seed: int, *, in_order: bool = False) -> None:
        """Produce deterministic submissions of 1 to 20 plays by 40 listeners, at any time or not
        before those of a smaller seed."""
        chance = random.Random(seed)
        ticks = iter(range(seed * 100_000, (seed + 1) * 100_000))

        def second() -> int:
            return next(ticks) if in_order else chance.randrange(100_000)

        self.send(
            *(
                submission(
                    f"user {chance.randrange(40)}",
                    *(
                        (second(), chance.randrange(300))
                        for _ in range(chance.choice([1, 1, 1, 20]))
                    ),
                )
                for _ in range(count)
            )
        )

    def wait_applied(self, *workers: str, timeout: float = 90.0) -> None:
        behind = wait_applied(self.settings, timeout, workers)
        logs = "\n".join(w.tail(8) for w in self.workers)
        assert not behind, f"still behind: {behind}\n{logs}"

    def wait_some(self, worker: str, messages: int, timeout: float = 60.0) -> None:
        """Wait until the store has applied a good part of the log."""

        def enough() -> bool:
            from infra.stack.progress import heartbeats

            beat = heartbeats(self.settings).get(worker)
            return beat is not None and sum(beat.offsets.values()) >= messages

        assert wait_until(enough, timeout), self.workers[-1].tail(20)

    def count(self, name: str) -> int:
        """Sum a counter of this log over the partitions of the feature store."""
        return sum(
            int(self.redis.hget(self.keys.counts(p), f"{self.log_id}:{name}") or 0)
            for p in range(self.settings.partitions)
        )

    def assert_features_exact(self) -> None:
        """Every play counted once, every blob what plain Python makes of the plays."""
        total = sum(len(s.plays) for s in self.sent)
        assert self.count("plays") == total
        assert self.count("kept") + self.count("duplicate") + self.count("late") == total
        for user, run in pack_plays(self.sent).runs.items():
            assert self.redis.get(self.keys.listener(user)) == reference_fold(None, run), user

    def dead_letters(self) -> list[DeadLetter]:
        """Return one letter for each stage that refused a message."""
        return [
            msgspec.structs.replace(letter.content, stage=stage)
            for letter in read(self.settings)
            for stage in letter.stages
        ]

    def committed(self, group: str) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.settings.kafka, "group.id": group})
        try:
            places = [TopicPartition(self.plays, p) for p in range(self.settings.partitions)]
            return {p.partition: p.offset for p in consumer.committed(places, timeout=10)}
        finally:
            consumer.close()


def make_kit(
    home: Path, *, kafka: Server, redis_url: str, postgres_dsn: str = "", partitions: int = 4
) -> Iterator[Kit]:
    """Yield a kit with a namespace of its own; every worker it started is gone afterwards."""
    settings = Settings(
        home=home,
        namespace=f"t{time.time_ns():x}",
        kafka=kafka.address,
        broker_holds_fetches=kafka.name != Tansu.name,
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        partitions=partitions,
        snapshot_seconds=1.0,
        lake_seconds=0.3,
    )
    kit = Kit(settings)
    kit.make_topics()
    try:
        yield kit
    finally:
        kit.close()
