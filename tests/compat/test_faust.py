"""Private parts of Faust and aiokafka that `streams.app` uses: each by its effect on a real broker.

They are renamed without notice, and a hook that nobody calls fails no import: the base class would
quietly do its own. So each part is shown by what it does for us.
"""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.process import python
from infra.stack.server import Server
from streams.fetching import ASKED_MS, HELD_MS
from tests.compat.fold_on_faust import FROM, HOOKS

pytestmark = pytest.mark.integration
_SENT = 60


def test_a_fold_on_faust(broker: Server) -> None:
    namespace = f"c{secrets.token_hex(4)}"
    topics = Topics(namespace)
    ensure_topics(Settings(kafka=broker.address, partitions=1), topics.configs())
    producer = Producer({"bootstrap.servers": broker.address})
    for number in range(_SENT):
        producer.produce(topics.plays, str(number).encode(), partition=0)
    assert producer.flush(30) == 0
    held = broker.name != "tansu"
    arguments = broker.address, namespace, str(_SENT - 1), str(int(held))
    command = python("tests.compat.fold_on_faust", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)

    # Not from 0, where the group starts: from where the fold stands.
    offsets = [offset for run in seen["runs"] for offset in run]
    assert offsets == list(range(FROM, _SENT))
    assert seen["first"] == str(FROM)
    # A fetch is one event: whole runs of messages.
    assert len(seen["runs"]) < _SENT - FROM
    # The broker is asked to hold a fetch no longer than this; one that does not, through the gate.
    assert seen["fetch_waits"] == [HELD_MS if held else ASKED_MS]
    assert (seen["through_the_gate"] > 0) is not held
    # Faust still calls what we replace.
    assert seen["called"] == sorted(HOOKS)
    # All that was assigned is read.
    assert seen["assigned_at"] is None
    # A crash ends the wait for it and keeps its reason.
    assert seen["crashed"] == [False, True]
    assert "made up" in seen["reason"]

    assert seen["committed"] is True
    reader = Consumer({"bootstrap.servers": broker.address, "group.id": f"{namespace}.fold"})
    (place,) = reader.committed([TopicPartition(topics.plays, 0)], timeout=10)
    reader.close()
    assert place.offset == 33
