"""What the workers may do in Kafka covers what they do, and no more."""

from __future__ import annotations

from contracts.settings import Settings
from contracts.topics import Kind
from contracts.workers import BY_NAME, WORKERS
from infra.operations.acls import grants, reads, user, writes

SETTINGS = Settings(namespace="ring")


def test_a_fold_reads_its_topics_and_the_erasures_and_writes_dead_letters() -> None:
    for spec in WORKERS:
        if spec.folds:
            assert {*spec.reads, Kind.ERASURES} <= set(reads(spec)), spec.name
            assert writes(spec) == (Kind.DEAD_LETTERS,), spec.name


def test_only_the_api_writes_plays() -> None:
    assert [spec.name for spec in WORKERS if Kind.PLAYS in writes(spec)] == ["api"]
    assert [spec.name for spec in WORKERS if Kind.ERASURES in writes(spec)] == ["eraser"]


def test_who_uses_no_topic_needs_no_grant() -> None:
    named = {grant.principal for grant in grants(SETTINGS)}
    assert f"User:{user(SETTINGS, 'listeners')}" in named
    assert f"User:{user(SETTINGS, 'web')}" not in named
    importer = BY_NAME["importer"]
    assert (reads(importer), writes(importer)) == ((), ())


def test_everything_lies_in_the_namespace_and_the_lines_are_those_of_kafkas_tool() -> None:
    found = list(grants(SETTINGS))
    assert all(grant.name.startswith("ring.") for grant in found)
    lines = [grant.command for grant in found]
    assert "--add --allow-principal 'User:ring-api' --operation Write --topic 'ring.plays'" in lines
    assert (
        "--add --allow-principal 'User:ring-listeners' --operation Read --group 'ring.'"
        " --resource-pattern-type prefixed" in lines
    )
