"""Topics: a name for Kafka that knows what it holds, and how long each kind is kept."""

from __future__ import annotations

import pytest

from contracts.lake import TABLES
from contracts.topics import Kind, Topic, Topics

TOPICS = Topics("segue.eu")


@pytest.mark.parametrize("kind", Kind)
def test_a_topic_is_its_name_and_knows_its_kind(kind: Kind) -> None:
    topic = TOPICS.of(kind)
    assert topic == f"segue.eu.{kind.value}"
    assert (topic.kind, topic.place(2)) == (kind, f"segue.eu.{kind.value}:2")
    named = TOPICS.results.get(kind.table) or getattr(TOPICS, kind.name.lower())
    assert named == topic


def test_every_topic_has_settings() -> None:
    assert set(TOPICS.configs(flink=True)) == {TOPICS.of(kind) for kind in Kind}
    assert set(TOPICS.configs(flink=True)) - set(TOPICS.configs()) == set(TOPICS.results.values())


def test_what_lands_has_a_raw_table() -> None:
    assert [topic.kind for topic in TOPICS.landed] == list(TABLES)


def test_erasures_are_kept_for_ever_however_long_plays_are() -> None:
    assert TOPICS.configs(30)[TOPICS.erasures]["retention.ms"] == "-1"
    assert TOPICS.configs(30)[TOPICS.plays]["retention.ms"] == str(30 * 86_400_000)


def test_a_topic_is_a_string_to_others() -> None:
    assert isinstance(Topic(Kind.PLAYS, "a"), str)
    by_name: dict[str, int] = {Topic(Kind.PLAYS, "a"): 1}
    assert by_name["a.plays"] == 1
