"""``segue worker snowflake-sink``: follows plays, feedback and impressions into Snowflake."""

from __future__ import annotations

import logging
import threading
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from contracts import kafka_client
from contracts.settings import Settings
from contracts.snowflake import Snowflake
from contracts.topics import Topic
from contracts.workers import SNOWFLAKE_SINK
from streams.consume import Follower, follow_together
from streams.decode import ROWS
from streams.snowflake_sink.landing import Landing, Outcome
from streams.snowflake_sink.pipe import Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.sink import SnowflakeSink
from streams.snowflake_sink.stage import Stage
from streams.worker import Worker, run_worker

log = logging.getLogger(__name__)


def body(worker: Worker) -> None:
    """Follow the topics, each in a thread, until the worker has to stop.

    Should one of them have to end, the others flush and end too, and the worker starts again as a
    whole.

    Raises
    ------
    ConfigurationError
        Snowflake is not configured, or refuses the login.
    """
    snowflake, logs, topics = Snowflake.required(), worker.find_logs(), worker.topics
    follow_together(
        worker,
        [_follower(worker, snowflake, topic, logs[topic]) for topic in topics.landed],
    )


def _follower(worker: Worker, snowflake: Snowflake, topic: Topic, log_id: str) -> Follower[Any]:
    settings, table = worker.settings, topic.kind
    remote = Remote(worker.stopping)
    stage = Stage(snowflake, remote, table)
    landing = Landing(stage, Pipe(snowflake, remote, table), remote, snowflake.silence_seconds)
    monitor = Monitor(settings, worker.name, topic)

    def landed(outcome: Outcome, positions: dict[int, int]) -> None:
        worker.status.add(
            files=len(positions), quarantined=outcome.quarantined, load_retries=outcome.retries
        )
        monitor.commit(positions)

    sink = SnowflakeSink[Any](
        stage, landing, topic, log_id, table, settings.partitions, ROWS[table], landed
    )
    return Follower(worker, topic, log_id, sink, seconds=snowflake.seconds, rows=snowflake.rows)


class Monitor:
    """Commits offsets to Kafka once their files have landed, for lag monitors; never read here."""

    def __init__(self, settings: Settings, name: str, topic: str) -> None:
        self._topic = topic
        self._lock = threading.Lock()
        self._consumer = kafka_client.consumer(settings, name)

    def commit(self, positions: dict[int, int]) -> None:
        """Commit ``partition -> next offset``; a failure is logged, nothing depends on it."""
        offsets = [TopicPartition(self._topic, p, o) for p, o in positions.items() if o]
        if not offsets:
            return
        try:
            with self._lock:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("offsets not committed to Kafka (only lag monitors read them): %s", error)


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    logging.getLogger("snowflake").setLevel(logging.WARNING)  # else a line for every request
    return run_worker(settings, SNOWFLAKE_SINK.name, body)
