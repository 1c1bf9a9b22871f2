"""The stores behind `SEGUE_REDIS_URL`: a Cluster that loses a primary, Sentinels, TLS."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.crc import key_slot
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from api.listeners.hub import EventHub, publish
from api.serving.features import LOST, FeatureReader
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.features import EMPTY, Keys, Listener
from contracts.ids import track_key
from contracts.listener_events import ListenerEvent
from contracts.redis_client import async_client, client, every_server
from contracts.results import Trending
from contracts.settings import Settings
from infra.operations.erasure import features
from infra.operations.erasure.target import Target
from infra.operations.repartition.clean import delete_keys
from infra.stack.ports import LOOPBACK, free_ports
from infra.stack.process import wait_until
from infra.stack.progress import wait_applied
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from streams.decode import Batch
from streams.errors import RESTART
from streams.feature_store import FeatureStore
from streams.results_sink import TrendingSink
from tests.integration.streams_kit import Kit, make_kit
from tests.integration.tls import TlsFront
from tests.integration.valkey_cluster import PASSWORD, Node, Sentinel, ValkeyCluster
from web.sessions import Session, Sessions

pytestmark = pytest.mark.integration
USERS = [f"user {number}" for number in range(40)]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    cluster = ValkeyCluster(tmp_path_factory.mktemp("ring"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def kit(ring: ValkeyCluster, broker: Server, tmp_path: Path) -> Iterator[Kit]:
    yield from make_kit(tmp_path, kafka=broker, redis_url=ring.address, partitions=8)


@asynccontextmanager
async def reading(url: str, keys: Keys) -> AsyncIterator[FeatureReader]:
    """Yield the API's reader, with a client as the API has it."""
    made = async_client(url, socket_timeout=0.25, socket_connect_timeout=0.25)
    reader = FeatureReader(made, url, keys)
    try:
        yield reader
    finally:
        await reader.close()
        await made.aclose()


def test_the_keys_of_a_namespace_that_was_left_are_deleted_on_every_node(kit: Kit) -> None:
    other = Keys(f"{kit.settings.namespace}2", 8)
    for user in USERS:
        kit.redis.set(kit.keys.listener(user), EMPTY)
        kit.redis.set(other.listener(user), EMPTY)
    kit.redis.hset(kit.keys.trending, "list", "")
    kit.redis.hset(kit.keys.workers, "learner", "")
    assert delete_keys(kit.settings) == len(USERS) + 1
    assert not any(kit.redis.exists(kit.keys.listener(user)) for user in USERS)
    assert all(kit.redis.exists(other.listener(user)) for user in USERS)
    assert kit.redis.exists(kit.keys.workers)


async def known(reader: FeatureReader, users: list[str]) -> list[bytes | None] | None:
    """Return what the reader finds; ``None`` where it lacks the state of a listener."""
    try:
        found = await reader.get_many(users)
    except StoreUnavailable:
        return None
    return None if LOST in found else found


async def eventually(reader: FeatureReader, users: list[str]) -> list[bytes | None]:
    async with asyncio.timeout(60):
        while (found := await known(reader, users)) is None:
            await asyncio.sleep(0.1)
    return found


async def told(reader: FeatureReader) -> list[bytes | None]:
    """Return what a list would be made of now; no listener may look unknown."""
    try:
        found = await reader.get_many(USERS)
    except StoreUnavailable:
        return [LOST] * len(USERS)
    assert None not in found
    return found


def _slot(keys: Keys, user: str) -> int:
    return int(key_slot(keys.listener(user).encode()))


@pytest.mark.timeout(600)
async def test_a_primary_killed_under_load_loses_nothing(ring: ValkeyCluster, kit: Kit) -> None:
    worker = kit.start("listeners")
    kit.send_random(400, 1)
    await asyncio.to_thread(kit.wait_applied, "listeners")
    assert len({ring.holder(key_slot(kit.keys.fence(p).encode())).port for p in range(8)}) > 1
    async with reading(kit.settings.redis_url, kit.keys) as reader:
        before = await eventually(reader, USERS)
        assert None not in before

        ended = threading.Event()

        def load() -> None:
            for seed in range(2, 400):
                kit.send_random(10, seed)
                if ended.wait(0.05):
                    return

        loading = threading.Thread(target=load)
        loading.start()
        try:
            for node in ring.nodes[3:]:  # no failover until the loss was seen
                node.client.config_set("cluster-replica-no-failover", "yes")
            victim = ring.holder(key_slot(kit.keys.fence(0).encode()))
            lost = {u for u in USERS if ring.holder(_slot(kit.keys, u)) is victim}
            victim.kill()
            async with asyncio.timeout(120):
                while {u for u, blob in zip(USERS, await told(reader), strict=True)
                       if blob == LOST} != lost:  # fmt: skip
                    await asyncio.sleep(0.1)
            for node in ring.nodes[3:]:
                node.client.config_set("cluster-replica-no-failover", "no")
            assert None not in await eventually(reader, USERS)
        finally:
            ended.set()
            await asyncio.to_thread(loading.join)

        # The replica may lack what the primary had just taken: the worker notices it and restarts.
        async with asyncio.timeout(120):
            while worker.pid is None or wait_applied(kit.settings, 0, ("listeners",)):
                if worker.pid is None:
                    assert worker.exit_code == RESTART, worker.tail(20)
                    worker = kit.start("listeners")
                await asyncio.sleep(0.5)
        kit.assert_features_exact()
        assert None not in await eventually(reader, USERS)
    victim.start()
    assert await asyncio.to_thread(wait_until, lambda: all(map(ring.well, ring.nodes)), 90)


async def test_a_slot_that_moves_is_read_wherever_it_is(ring: ValkeyCluster) -> None:
    keys = Keys(f"moves-{secrets.token_hex(4)}", 4)
    users = USERS[:12]
    made = async_client(ring.address)
    for user in users:
        await made.set(keys.listener(user), user)
    for partition in range(keys.partitions):
        await made.set(keys.complete(partition), b"1")
    expected = [user.encode() for user in users]
    slot = key_slot(keys.fence(0).encode())
    source = ring.holder(slot)
    target = next(node for node in ring.nodes if ring.is_primary(node) and node is not source)

    def place(node: Node, state: str, about: Node) -> None:
        node.ask("CLUSTER", "SETSLOT", slot, state, ring.id_of(about))

    async with reading(ring.address, keys) as reader:
        assert await eventually(reader, users) == expected
        place(target, "IMPORTING", source)
        place(source, "MIGRATING", target)
        moving = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
        for half in (moving[:2], moving[2:]):  # part of the keys here, part there: TRYAGAIN, ASK
            if half:
                source.ask(
                    "MIGRATE", LOOPBACK, target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *half
                )
            assert await eventually(reader, users) == expected
        for node in (target, source):
            place(node, "NODE", target)
        assert await eventually(reader, users) == expected  # MOVED
        assert await reader.get(users[0]) == expected[0]
    await made.aclose()


async def test_every_other_part_works_on_a_cluster(ring: ValkeyCluster, tmp_path: Path) -> None:
    namespace = f"parts-{secrets.token_hex(4)}"
    settings = Settings(home=tmp_path, namespace=namespace, redis_url=ring.address, partitions=4)
    keys = Keys(namespace, 4)
    store = client(ring.address)
    sink = TrendingSink(store, keys, "log", 4)
    lists = Trending(kind="tracks", window="1h", window_start=0, window_end=1, places=[])
    batch: Batch[Trending] = Batch(1, 0, 0, 4, [(4, lists)], [])
    assert sink.write([batch]) == 1
    assert sink.positions() == {0: 0, 1: 5, 2: 0, 3: 0}

    made = async_client(ring.address)
    sessions = Sessions(made, keys)
    session = Session(token="t", user="ada", roles=[], csrf="c", expires=time.time() + 60)
    assert await sessions.find(await sessions.make(session)) == session

    folds = FeatureStore(made, keys)
    assert await folds.positions("log") == dict.fromkeys(range(4), 0)
    await folds.mark_complete()
    assert (await folds.state(["log"]))[1]

    hub = EventHub(ring.address, keys.events)
    stream = hub.open("ada")
    event = ListenerEvent(user="ada", kind="play", at=1, artist="Air", title="Talisman")
    async with asyncio.timeout(20):
        while await stream.next(0.2) is None:  # until the subscription is there
            await publish(made, keys.events, event)
    hub.close(stream)
    await made.aclose()

    run = (5).to_bytes(4, "big") + track_key("Air", "Talisman").to_bytes(8, "big") + b"\xff\x00"
    store.set(keys.listener("ada"), EMPTY + run)
    store.set(keys.playing_now("ada"), b"{}")
    target = Target(user_id="ada", before_ms=1)
    assert features.forget_play(settings, target, 5, "Air", "Talisman") == {"plays": 1}
    assert len(Listener.unpack(store.get(keys.listener("ada"))).tracks) == 0  # type: ignore[arg-type]
    assert features.forget(settings, target) == {"keys": 2, "logins": 0}
    assert _rewritten(settings) == {"files": 6}


def test_a_rewrite_or_copy_that_began_before_leaves_nothing_on_disk(
    ring: ValkeyCluster, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, namespace="gone", redis_url=ring.address, partitions=4)
    keys = Keys("gone", 4)
    replica = next(node for node in ring.nodes if not ring.is_primary(node))
    secret = f"s-{secrets.token_hex(7)}".encode()
    with client(ring.address) as store:
        for number in range(300):
            store.set(f"other {number}", b"1")
        store.set(keys.listener("ada"), secret)
    assert wait_until(lambda: _on_disk(ring, secret) >= 2, 90), "primary and replica wrote it"
    delayed = [node for node in ring.nodes if node is not replica]
    for node in delayed:  # microseconds a key: a rewrite and a copy take most of a second
        node.client.config_set("rdb-key-save-delay", 3000)
        node.client.bgrewriteaof()
    replica.kill()
    assert wait_until(lambda: f":{replica.port} is down" in _refused(settings), 90)
    replica.start()
    assert features.forget(settings, Target(user_id="ada", before_ms=1))["keys"] == 1
    assert _rewritten(settings) == {"files": 6}
    for node in delayed:
        node.client.config_set("rdb-key-save-delay", 0)
    assert _on_disk(ring, secret) == 0


def _rewritten(settings: Settings) -> dict[str, int]:
    """Rewrite the files, as soon as every server knows that the one that was killed is back."""
    for attempt in Retrying(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_after_delay(60),
        wait=wait_fixed(0.2),
        reraise=True,
    ):
        with attempt:
            found = features.rewrite(settings)
    return found


def _refused(settings: Settings) -> str:
    try:
        features.rewrite(settings)
    except StoreUnavailable as error:
        return str(error)
    return ""


def _on_disk(ring: ValkeyCluster, value: bytes) -> int:
    """Return how many files of the servers hold a value."""
    files = (path for node in ring.nodes for path in node.folder.rglob("*") if path.is_file())
    return sum(value in path.read_bytes() for path in files)


def test_the_wrong_kind_of_address_is_one_line(ring: ValkeyCluster, valkey: Valkey) -> None:
    keys = Keys("wrong", 16)

    async def ask(url: str) -> None:
        made = async_client(url)
        try:
            await FeatureStore(made, keys).positions("log")
        finally:
            await made.aclose()

    with pytest.raises(ConfigurationError, match=r"write redis\+cluster://"):
        asyncio.run(ask(ring.nodes[0].address))
    alone = valkey.address.replace("redis://", "redis+cluster://")
    for call in (lambda: asyncio.run(ask(alone)), lambda: client(alone)):
        with pytest.raises(ConfigurationError, match="a server there is none"):
            call()


async def test_sentinels_lead_to_the_new_primary(tmp_path: Path) -> None:
    ports = free_ports(3)
    primary = Node(tmp_path / "1", ports[0])
    replica = Node(tmp_path / "2", ports[1], replicaof=f"{LOOPBACK} {ports[0]}")
    guard = Sentinel(tmp_path / "3", ports[2], primary)
    servers: list[Server] = [primary, replica, guard]
    url = (
        f"redis+sentinel://:{PASSWORD}@{LOOPBACK}:1,{LOOPBACK}:{guard.port}/main"
        f"?sentinel_password={PASSWORD}"
    )
    keys = Keys("guarded", 2)
    try:
        for server in servers:
            await asyncio.to_thread(server.prepare)
            server.launch()
        for server in servers:
            await asyncio.to_thread(server.wait_healthy)
        made = async_client(url, socket_timeout=1.0, socket_connect_timeout=1.0)
        for user in USERS:
            await made.set(keys.listener(user), user)
        for partition in range(keys.partitions):
            await made.set(keys.complete(partition), b"1")
        expected = [user.encode() for user in USERS]
        assert await asyncio.to_thread(
            wait_until, lambda: guard.ask("SENTINEL", "REPLICAS", "main") != [], 90
        )
        assert await asyncio.to_thread(wait_until, lambda: replica.client.dbsize() == 42, 90)
        with client(url) as blocking:
            places = [each.info("server")["tcp_port"] for each in every_server(blocking, url)]
        assert places == [primary.port, replica.port]
        async with reading(url, keys) as reader:
            assert await eventually(reader, USERS) == expected
            primary.kill()
            assert await known(reader, USERS) is None
            assert await eventually(reader, USERS) == expected
        assert replica.client.info("replication")["role"] == "master"
        await made.set("after", b"1")
        with client(url, socket_timeout=1.0) as blocking:
            assert blocking.get("after") == b"1"
        await made.aclose()
    finally:
        for server in servers:
            server.kill()


async def test_tls_with_an_authority_of_its_own(valkey: Valkey, tmp_path: Path) -> None:
    front = TlsFront(valkey.port, tmp_path)
    try:
        there = valkey.address.replace("redis://", "rediss://")
        url = there.replace(f":{valkey.port}/", f":{front.port}/") + f"?ssl_ca_certs={front.ca}"
        keys = Keys("sealed", 1)
        with client(url) as store:
            store.set(keys.complete(0), b"1")
            store.set(keys.listener("ada"), b"blob")
        async with reading(url, keys) as reader:
            assert await eventually(reader, ["ada"]) == [b"blob"]
            async with asyncio.timeout(60):
                while True:
                    with suppress(StoreUnavailable):  # the client's time is short
                        assert await reader.get("ada") == b"blob"
                        break
                    await asyncio.sleep(0.5)
    finally:
        front.stop()
