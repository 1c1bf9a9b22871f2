"""The learner as a real process: what a kill leaves, what readers see, what Kafka receives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from contracts.features import Listener
from contracts.ids import track_key
from infra.stack.process import wait_until
from infra.stack.progress import heartbeats
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from online_model import ModelDirectory, Recommender
from streams.decode import Batch
from streams.fold import pack_plays
from streams.learner import learn
from streams.steps import SNAPSHOT_WRITTEN, WRITTEN
from tests.integration.streams_kit import Kit, make_kit
from tests.streams.plays import START
from tests.streams.reference import reference_fold

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def kit(tmp_path: Path, broker: Server, valkey: Valkey) -> Iterator[Kit]:
    # One partition: with more, the order between them is not fixed, nor are the last bits.
    yield from make_kit(tmp_path, kafka=broker, redis_url=valkey.address, partitions=1)


def reader(kit: Kit) -> Recommender:
    return ModelDirectory(kit.settings.paths.model).open_reader()


def uninterrupted(kit: Kit) -> Recommender:
    model = Recommender()
    learn(model, Batch(0, 0, 0, 0, list(enumerate(kit.sent)), []))
    return model


def lists(model: Recommender, kit: Kit) -> list[list[bytes]]:
    """What the model recommends to each listener."""
    found = []
    for _, run in sorted(pack_plays(kit.sent).runs.items())[:15]:
        known = Listener.unpack(reference_fold(None, run))
        ranking = model.recommend(
            known.tracks, known.seconds, known.ratios, now=START + 500_000, k=10
        )
        found.append([model.document(i) for i in ranking.indices])
    return found


@pytest.mark.each_broker
def test_kills_at_each_step_leave_the_model_of_an_uninterrupted_run(kit: Kit) -> None:
    kit.send_random(1500, seed=1, in_order=True)
    kit.wait_killed(kit.start("learner", kill_at=SNAPSHOT_WRITTEN), timeout=200)
    assert ModelDirectory(kit.settings.paths.model).snapshots()
    resumed = ModelDirectory(kit.settings.paths.model).resume()
    assert kit.committed(_group(kit))[0] <= 0 <= resumed.offsets[kit.log_id, 0] <= 1499
    kit.send_random(1500, seed=2, in_order=True)
    kit.wait_killed(kit.start("learner", kill_at=WRITTEN), timeout=100)
    worker = kit.start("learner")
    kit.wait_applied("learner", timeout=100)
    assert wait_until(lambda: reader(kit).offsets[kit.log_id, 0] == 2999, 90)
    expected = uninterrupted(kit)
    assert reader(kit).plays_learned == expected.plays_learned
    assert lists(reader(kit), kit) == lists(expected, kit)
    # SIGTERM saves a last snapshot: nothing is left to replay.
    kit.stop(worker)
    last = ModelDirectory(kit.settings.paths.model).resume()
    assert last.offsets[kit.log_id, 0] == 2999
    assert kit.committed(_group(kit))[0] == 3000
    assert last.plays_learned == expected.plays_learned


def test_a_lost_model_is_learned_again_whatever_kafka_has_committed(kit: Kit) -> None:
    kit.send_random(300, seed=3, in_order=True)
    worker = kit.start("learner")
    kit.wait_applied("learner", timeout=200)
    kit.stop(worker)
    for path in kit.settings.paths.model.iterdir():
        path.unlink()
    worker = kit.start("learner")
    # Until the new worker reports, the old one's last heartbeat still shows no lag.
    beats = partial(heartbeats, kit.settings)
    assert wait_until(lambda: any(beat.pid == worker.pid for beat in beats().values()), 100)
    kit.wait_applied("learner", timeout=100)
    model = reader(kit)
    assert model.plays_learned == uninterrupted(kit).plays_learned
    key = track_key(kit.sent[0].plays[0].artist, kit.sent[0].plays[0].title)
    row = int(model.lookup(np.array([key], np.uint64))[0])
    assert kit.sent[0].plays[0].title.encode() in model.document(row)


def _group(kit: Kit) -> str:
    return f"{kit.settings.namespace}.learner.{kit.settings.host_name}"
