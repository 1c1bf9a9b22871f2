"""The Lua scripts on a real Valkey do exactly what the plain Python does, however plays arrive."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.erased import Erased
from contracts.errors import IncompatibleState, StoreUnavailable
from contracts.events import Feedback, Play, Submission, encode
from contracts.features import EMPTY, WINDOW, Keys
from infra.stack.ports import free_ports
from infra.stack.valkey import Valkey
from streams.decode import Batch, Decoder, Record
from streams.errors import PositionLost
from streams.feature_store import Applied, FeatureStore
from streams.fold import pack_feedback, pack_plays
from tests.streams.plays import play, submission
from tests.streams.reference import reference_feedback, reference_fold

pytestmark = pytest.mark.integration
KEYS = Keys("folding", 1)
COUNTERS = ("log:plays", "log:kept", "log:duplicate", "log:late")
USERS = ("ada", "bob", "zoë")


@pytest.fixture(scope="module")
def db(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.address) as client:
        yield client


def batch_of(
    offset: int, messages: list[Submission], start: int | None = None
) -> Batch[Submission]:
    records = [Record(offset + i, encode(m)) for i, m in enumerate(messages)]
    begin = offset if start is None else start
    return Decoder(Erased(), 1).plays(records, partition=0, start=begin)


def apply(valkey: Valkey, *batches: Batch[Submission], log: str = "log") -> list[Applied]:
    async def run() -> list[Applied]:
        async with redis.asyncio.Redis.from_url(valkey.address) as client:
            store = FeatureStore(client, KEYS)
            return [await store.apply_plays(log, batch) for batch in batches]

    return asyncio.run(run())


ratios = st.sampled_from([(None, None), (100, 1000), (900, 1000)])
one_play = st.tuples(
    st.sampled_from(USERS), st.integers(0, 500), st.integers(0, 3), ratios, st.booleans()
)


def built(entry: tuple[str, int, int, tuple[int | None, int | None], bool]) -> tuple[str, Play]:
    user, second, track, (heard, length), skipped = entry
    return user, play(
        user, second, track, ms_played=heard, duration_ms=length, skipped=skipped or None
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(one_play, min_size=1, max_size=80), st.integers(0, 2**32), st.integers(1, 12))
def test_lua_equals_the_reference(
    valkey: Valkey,
    db: redis.Redis,
    entries: list[tuple[str, int, int, tuple[int | None, int | None], bool]],
    seed: int,
    pieces: int,
) -> None:
    """Any split into messages and batches, any order, any duplication: one result."""
    db.flushall()
    chance = random.Random(seed)
    plays = [built(e) for e in entries]
    # Long tails of another listener's plays make the window overflow in some runs.
    plays += [("bob", play("bob", 1000 + i, 1)) for i in range(chance.choice([0, 0, 290, 310]))]
    delivered = plays + chance.sample(plays, len(plays) // 3)
    chance.shuffle(delivered)
    offset, applied = 0, []
    for piece in range(pieces):
        by_user: dict[str, list[Play]] = {}
        for user, one in delivered[piece::pieces]:
            by_user.setdefault(user, []).append(one)
        messages = [
            Submission(user_id=user, plays=some[at : at + 200])
            for user, some in by_user.items()
            for at in range(0, len(some), 200)
        ]
        if messages:
            applied += apply(valkey, batch_of(offset, messages))
            offset += len(messages)
    packed = pack_plays(Submission(user_id=u, plays=[p]) for u, p in plays)
    for user, run in packed.runs.items():
        assert db.get(KEYS.listener(user)) == reference_fold(None, run)
    total = {f: int(db.hget(KEYS.counts(0), f) or 0) for f in COUNTERS}
    assert total["log:plays"] == len(delivered) == sum(a.plays for a in applied)
    assert total["log:kept"] + total["log:duplicate"] + total["log:late"] == len(delivered)
    assert db.hget(KEYS.fence(0), "log") == str(offset - 1).encode()


def test_redelivery_of_anything_changes_nothing(valkey: Valkey, db: redis.Redis) -> None:
    db.flushall()
    messages = [submission(USERS[i % 3], (i, i), (i + 1, i)) for i in range(30)]
    apply(valkey, batch_of(0, messages))
    before = {k: db.dump(k) for k in db.keys("*")}
    batches = [batch_of(o, messages[o : o + n]) for o, n in ((0, 30), (3, 5), (0, 1), (29, 1))]
    assert apply(valkey, *batches) == [Applied()] * 4
    assert {k: db.dump(k) for k in db.keys("*")} == before


def test_the_new_part_of_an_overlapping_batch_is_applied_once(
    valkey: Valkey, db: redis.Redis
) -> None:
    db.flushall()
    messages = [submission("ada", (i, i)) for i in range(10)]
    first, second = apply(valkey, batch_of(0, messages[:6]), batch_of(2, messages[2:]))
    assert (first.plays, second.plays) == (6, 4)
    whole = pack_plays(messages).runs["ada"]
    assert db.get(KEYS.listener("ada")) == reference_fold(None, whole)


def test_another_log_has_a_fence_of_its_own(valkey: Valkey, db: redis.Redis) -> None:
    db.flushall()
    one, two = submission("ada", (1, 1)), submission("ada", (2, 2))
    apply(valkey, batch_of(0, [one]), log="old")
    assert apply(valkey, batch_of(0, [two]), log="new")[0].kept == 1


def test_a_store_that_lost_its_data_is_noticed(valkey: Valkey, db: redis.Redis) -> None:
    db.flushall()
    apply(valkey, batch_of(0, [submission("ada", (1, 1))]))
    db.flushall()
    with pytest.raises(PositionLost):
        apply(valkey, batch_of(1, [submission("ada", (2, 2))]))
    assert db.keys("*") == []


def test_counts_say_kept_duplicate_and_late(valkey: Valkey, db: redis.Redis) -> None:
    db.flushall()
    full = [submission("ada", *((i, 1) for i in range(s, s + 150))) for s in (100, 250)]
    later = [submission("ada", (5, 1)), submission("ada", (150, 1)), submission("ada", (150, 2))]
    results = apply(valkey, batch_of(0, full), *(batch_of(2 + i, [m]) for i, m in enumerate(later)))
    assert results == [
        Applied(WINDOW, WINDOW, 0, 0),
        Applied(1, 0, 0, 1),
        Applied(1, 0, 1, 0),
        Applied(1, 1, 0, 0),
    ]


def test_a_torn_blob_stops_the_fold_before_anything_is_written(
    valkey: Valkey, db: redis.Redis
) -> None:
    db.flushall()
    db.set(KEYS.listener("bob"), b"\1\0\0\0torn")
    with pytest.raises(IncompatibleState):
        apply(valkey, batch_of(0, [submission("ada", (1, 1)), submission("bob", (1, 1))]))
    assert db.keys("*") == [KEYS.listener("bob").encode()]


def test_a_lost_script_is_sent_again(valkey: Valkey, db: redis.Redis) -> None:
    db.flushall()
    db.script_flush()
    assert apply(valkey, batch_of(0, [submission("ada", (1, 1))]))[0].kept == 1


def test_a_server_that_cannot_write_now_is_waited_for(valkey: Valkey, db: redis.Redis) -> None:
    """Full, or a replica after a fail-over: the same batch goes through later."""
    db.flushall()
    one = batch_of(0, [submission("ada", (1, 1))])
    db.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            apply(valkey, one)
        db.config_set("maxmemory", 0)
        db.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreUnavailable, match="replica"):
            apply(valkey, one)
    finally:
        db.config_set("maxmemory", 0)
        db.replicaof("no", "one")
    assert apply(valkey, one)[0].kept == 1


def test_no_server_is_a_retryable_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        apply(Valkey(tmp_path, free_ports(1)[0]), batch_of(0, [submission("ada", (1, 1))]))


kinds = st.sampled_from(["love", "hate", "hide", "undo", "undo", "hide"])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(USERS), kinds, st.integers(0, 4)), max_size=40))
def test_feedback_lua_equals_the_reference(
    valkey: Valkey, db: redis.Redis, said: list[tuple[str, str, int]]
) -> None:
    db.flushall()
    db.set(KEYS.listener("ada"), reference_fold(EMPTY, pack_plays([_one("ada")]).runs["ada"]))
    expected = {user: db.get(KEYS.listener(user)) for user in USERS}
    messages = [
        Feedback(user_id=u, kind=k, at=1, source="t", artist="A", title=f"T{t}") for u, k, t in said
    ]

    async def run() -> None:
        async with redis.asyncio.Redis.from_url(valkey.address) as client:
            store = FeatureStore(client, KEYS)
            for start in range(0, len(messages), 7):
                part = list(enumerate(messages))[start : start + 7]
                batch = Batch(0, start, start, part[-1][0], part, [])
                assert await store.apply_feedback("log", batch) == len(part)
                assert await store.apply_feedback("log", batch) == 0

    asyncio.run(run())
    for user, operations in pack_feedback(messages).items():
        expected[user] = reference_feedback(_raw(expected[user]), operations)
    assert {user: db.get(KEYS.listener(user)) for user in USERS} == expected


def _one(user: str) -> Submission:
    return submission(user, (1, 1))


def _raw(value: bytes | str | None) -> bytes | None:
    assert not isinstance(value, str)
    return value
