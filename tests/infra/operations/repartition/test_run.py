"""A copy that is stopped anywhere and run again holds each message once, in the log's order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.erasures import Erasure, decode, encode, listener_key
from contracts.errors import ConfigurationError
from contracts.events import Feedback, Submission, decode_submission
from contracts.events import encode as message
from contracts.ids import partition_of
from contracts.lake_tables import lake_table
from contracts.settings import Settings
from contracts.suspects import Suspect, Suspects, message_key
from contracts.suspects import decode as decode_suspect
from contracts.suspects import encode as encode_suspect
from contracts.suspects_topic import release
from contracts.topics import Kind, Topics
from infra.operations.repartition import run
from infra.operations.repartition.origins import Origin
from infra.operations.repartition.run import Copied, repartition
from streams.beginning import LogCutOff
from tests.streams.plays import submission
from tests.streams.test_lake_log import put

USERS = [f"user {n}" for n in range(40)]


class Killed(Exception):
    """The process ends here, as kill -9 would end it."""


@dataclass
class Stored:
    """A message as confluent-kafka hands it over."""

    place: int
    content: bytes
    name: bytes
    given: list[tuple[str, bytes]] = field(default_factory=list)

    def offset(self) -> int:
        return self.place

    def value(self) -> bytes:
        return self.content

    def key(self) -> bytes:
        return self.name

    def headers(self) -> list[tuple[str, bytes]]:
        return self.given


class FakeKafka:
    """Topics in memory: replaces the module's functions and its producer."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = Settings(home=home, kafka="127.0.0.1:1", partitions=2)
        self.topics = Topics(self.settings.namespace)
        self.new = replace(self.settings, namespace="new", partitions=6)
        self.logs: dict[str, list[list[Stored]]] = {}
        self.begins = {0: 0, 1: 0}
        self.kill_after = -1
        self.ensure_topics(self.settings, self.topics.configs())
        for name in ("ensure_topics", "end_offsets", "begin_offsets", "read_range"):
            monkeypatch.setattr(run, name, getattr(self, name))
        for name in ("check_topics", "check_letters"):
            monkeypatch.setattr(run, name, lambda *_: None)
        monkeypatch.setattr(run, "without_erasures", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(run, "consumer", lambda *_: SimpleNamespace(close=lambda: None))
        monkeypatch.setattr(run, "Copier", lambda _: contextlib.nullcontext(self))
        monkeypatch.setattr(run._Reader, "find_logs", lambda reader: self.find_logs(reader))
        monkeypatch.setattr("streams.beginning.begin_offsets", lambda *_: dict(self.begins))

    def ensure_topics(self, settings: Settings, configs: dict[str, Any]) -> dict[str, str]:
        for topic in configs:
            self.logs.setdefault(topic, [[] for _ in range(settings.partitions)])
        return {topic: f"id-of-{topic}" for topic in configs}

    def find_logs(self, reader: Any) -> dict[str, str]:
        configs = self.topics.configs(flink=bool(self.settings.flink))
        ids = self.ensure_topics(self.settings, configs)
        reader.decoder.erased.logs = {t.kind: ids[t] for t in self.topics.landed}
        for partition in self.logs[self.topics.erasures]:
            for stored in partition:
                reader.decoder.erased.add(decode(stored.content))
        return ids

    def end_offsets(self, _settings: Settings, topic: str) -> list[int]:
        return [len(partition) for partition in self.logs[topic]]

    def begin_offsets(self, _: Settings, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        begins = self.begins if topic.startswith(self.settings.namespace) else {}
        return {p: begins.get(p, 0) for p in partitions}

    def read_range(
        self, _reader: Any, topic: str, partition: int, start: int, end: int
    ) -> Iterator[Stored]:
        return iter(self.logs[topic][partition][start:end])

    def send(self, topic: str, partition: int, key: bytes, value: bytes, origin: Origin) -> None:
        if self.kill_after == 0:
            raise Killed
        self.kill_after -= 1
        self.append(topic, partition, key, value, [origin.header])

    def settle(self) -> None:
        pass

    def append(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Any = ()
    ) -> None:
        log = self.logs[topic][partition]
        log.append(Stored(len(log), value, key, list(headers)))

    def post(self, *sent: Submission | Feedback, to: Settings | None = None) -> None:
        """Write messages as the API of a namespace does."""
        settings = to or self.settings
        topics = Topics(settings.namespace)
        for each in sent:
            topic = topics.plays if isinstance(each, Submission) else topics.feedback
            home = partition_of(each.user_id, settings.partitions)
            self.append(topic, home, each.user_id.encode(), message(each))

    def erase(self, user: str, event_id: str = "", before: int = 0) -> None:
        """Write an erasure as the eraser does; its clock is far behind."""
        ends = {f"id-of-{t}": self.end_offsets(self.settings, t) for t in self.topics.landed}
        name = listener_key(user)
        erasure = Erasure(listener=name, before=before, ends=ends, event_id=event_id)
        key = f"{name}:{event_id}"
        self.append(self.topics.erasures, partition_of(key, 2), key.encode(), encode(erasure))

    def copy(self) -> dict[str, Copied]:
        return {each.topic: each for each in repartition(self.settings, "new", 6)}

    def copied(self, kind: Kind = Kind.PLAYS) -> list[bytes]:
        """Return the values of the new log, without order."""
        return [m.content for p in self.logs[Topics("new").of(kind)] for m in p]

    def of_user(self, topic: str, user: str) -> list[bytes]:
        """Return a listener's messages in the order of the log."""
        log = self.logs[topic][partition_of(user, len(self.logs[topic]))]
        return [m.content for m in log if m.name == user.encode()]


@pytest.fixture
def kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    return FakeKafka(tmp_path, monkeypatch)


def love(user: str, at: int) -> Feedback:
    return Feedback(
        user_id=user, track_id="t", kind="love", at=at, source="t", artist="Air", title="One"
    )


@pytest.mark.parametrize("kill_after", [0, 1, 17, 59, 119, 120, 129])
def test_a_copy_stopped_anywhere_resumes(kafka: FakeKafka, kill_after: int) -> None:
    for n in range(3):
        kafka.post(*(submission(user, (n, n)) for user in USERS))
    kafka.post(*(love(user, 1) for user in USERS[:10]))
    kafka.kill_after = kill_after
    with pytest.raises(Killed):
        kafka.copy()
    kafka.kill_after = -1
    done = kafka.copy()
    new = Topics("new")
    assert done[new.plays].messages + done[new.feedback].messages == 130 - kill_after
    for kind in (Kind.PLAYS, Kind.FEEDBACK):
        for user in USERS:
            assert kafka.of_user(new.of(kind), user) == kafka.of_user(kafka.topics.of(kind), user)
    assert len(kafka.copied()) + len(kafka.copied(Kind.FEEDBACK)) == 130
    assert all(each.messages == 0 for each in kafka.copy().values())


def test_a_later_run_copies_what_came_meanwhile_behind_what_the_new_api_wrote(
    kafka: FakeKafka,
) -> None:
    kafka.post(*(submission(user, (1, 1)) for user in USERS))
    kafka.copy()
    for n in range(20):  # more messages than are read backwards at once
        kafka.post(*(submission(user, (n, 9)) for user in USERS * 2), to=kafka.new)
    kafka.post(submission(USERS[0], (2, 2)))
    assert kafka.copy()[Topics("new").plays].messages == 1
    found = kafka.of_user(Topics("new").plays, USERS[0])
    assert [decode_submission(each).plays[0].played_at for each in (found[0], found[-1])] == [
        decode_submission(message(submission(USERS[0], (n, n)))).plays[0].played_at for n in (1, 2)
    ]


def test_nothing_erased_or_refused_is_copied(kafka: FakeKafka) -> None:
    one = submission("ada", (1, 1), (2, 2))
    kafka.post(one, submission("bob", (1, 1)), love("bob", 1))
    kafka.erase("bob")
    kafka.erase("ada", one.plays[0].event_id)
    kafka.append(kafka.topics.plays, 0, b"key", b"not a play")
    kafka.post(submission("bob", (3, 3)))  # bob returns
    done = kafka.copy()
    found = sorted((s.user_id, len(s.plays)) for s in map(decode_submission, kafka.copied()))
    assert found == [("ada", 1), ("bob", 1)]
    plays, feedback = Topics("new").plays, Topics("new").feedback
    assert (done[plays].left_out, done[feedback].left_out) == (2, 1)


def test_an_erasure_covers_what_was_copied_before_it_and_nothing_else(kafka: FakeKafka) -> None:
    kafka.erase("early")
    kafka.post(submission("early", (1, 1)), submission("late", (1, 1)))
    kafka.copy()
    kafka.erase("late")
    kafka.post(submission("late", (2, 2)))
    kafka.kill_after = 2  # the erasure and the play are copied, and nothing more
    kafka.post(submission("early", (3, 3)))
    with pytest.raises(Killed):
        kafka.copy()
    kafka.kill_after = -1
    kafka.copy()
    log = f"id-of-{Topics('new').plays}"
    covers = {}
    for value in kafka.copied(Kind.ERASURES):
        erasure = decode(value)
        for user in ("early", "late"):
            if erasure.listener == listener_key(user):
                q = partition_of(user, 6)
                stored = kafka.logs[Topics("new").plays][q]
                covers[user] = [
                    erasure.covers(log, q, m.place, at_ms=99)
                    for m in stored
                    if m.name == user.encode()
                ]
    assert covers == {"early": [False, False], "late": [True, False]}


def test_findings_and_releases_are_copied_once_and_forget_the_erased(kafka: FakeKafka) -> None:
    kafka.settings = replace(kafka.settings, flink="http://127.0.0.1:9")
    kafka.ensure_topics(kafka.settings, kafka.topics.configs(flink=True))
    old, now = kafka.topics.of(Kind.SUSPECTS), int(time.time() * 1000)
    for partition, user in enumerate(("ada", "bob")):
        found = Suspect(user_id=user, pattern="too-fast", started_at=1, ended_at=now, plays=6)
        for _ in range(2):  # at least once
            kafka.append(old, partition, message_key(found), encode_suspect(found))
    for user in ("ada", "eve"):
        released = release(user, partitions=2)
        kafka.append(old, released.partition, released.key, released.value)
    kafka.erase("eve", before=now + 60_000)
    new = Topics("new").of(Kind.SUSPECTS)
    done = kafka.copy()
    assert (done[new].messages, done[new].left_out) == (5, 1)
    held = Suspects()
    for value in kafka.copied(Kind.SUSPECTS):
        held.add(decode_suspect(value))
    assert list(held) == ["bob"]
    assert b"eve" not in b"".join(kafka.copied(Kind.SUSPECTS))
    late = release("bob", partitions=2)
    kafka.append(old, late.partition, late.key, late.value)
    assert kafka.copy()[new].messages == 1
    assert kafka.copied(Kind.SUSPECTS).count(late.value) == 1


def test_suspects_that_kafka_has_deleted_are_not_missed(
    kafka: FakeKafka, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.settings = replace(kafka.settings, flink="http://127.0.0.1:9")
    kafka.ensure_topics(kafka.settings, kafka.topics.configs(flink=True))
    old = kafka.topics.of(Kind.SUSPECTS)
    for n in range(3):
        released = release(f"user {n}", partitions=2)
        kafka.append(old, 0, released.key, released.value)
    kafka.begins = {0: 2, 1: 0}
    assert kafka.copy()[Topics("new").of(Kind.SUSPECTS)].messages == 1
    assert "continues without" not in caplog.text


def test_what_kafka_has_deleted_is_copied_from_the_lake(kafka: FakeKafka) -> None:
    kafka.settings = replace(kafka.settings, partitions=1)
    kafka.logs.clear()
    kafka.ensure_topics(kafka.settings, kafka.topics.configs())
    sent = [submission("ada", (n, n)) for n in range(5)]
    kafka.post(*sent)
    kafka.begins = {0: 3}
    with pytest.raises(LogCutOff, match="repartition needs offsets 0 to 2 of partition 0"):
        kafka.copy()
    place = lake_table(kafka.settings, "plays")
    put(place, 0, 0, *sent[:4], log_id=f"id-of-{kafka.topics.plays}")
    assert kafka.copy()[Topics("new").plays].messages == 5
    assert kafka.of_user(Topics("new").plays, "ada") == [message(each) for each in sent]


def test_a_namespace_with_other_messages_is_refused(kafka: FakeKafka) -> None:
    kafka.ensure_topics(kafka.new, Topics("new").configs())
    kafka.post(submission("ada", (1, 1)), to=kafka.new)
    with pytest.raises(ConfigurationError, match="namespace new holds messages that no `segue rep"):
        kafka.copy()


def test_copies_of_another_log_are_refused(kafka: FakeKafka) -> None:
    kafka.ensure_topics(kafka.new, Topics("new").configs())
    origin = Origin("gone", 0, 7).header
    kafka.append(Topics("new").plays, 0, b"ada", b"{}", [origin])
    with pytest.raises(ConfigurationError, match=r"new\.plays holds copies of another log"):
        kafka.copy()


@pytest.mark.parametrize(
    ("namespace", "partitions", "said"),
    [
        ("segue", 4, "--namespace segue is the namespace of this deployment"),
        ("A b", 4, "--namespace A b: give small letters"),
        ("new", 2, "--partitions 2: the log has 2; give a multiple, such as 4"),
        ("new", 1, "--partitions 1: the log has 2"),
        ("new", 5, "--partitions 5: the log has 2"),
    ],
)
def test_arguments_are_checked_first(namespace: str, partitions: int, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        repartition(Settings(partitions=2), namespace, partitions)
