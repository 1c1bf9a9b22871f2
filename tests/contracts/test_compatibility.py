"""A change of a message that could not read the log, or old workers could not read, is blocked."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts import events, schema
from contracts.compatibility import Schema, unreadable
from contracts.errors import IncompatibleState


@pytest.mark.parametrize("name", list(schema.MESSAGES))
def test_every_class_reads_all_that_was_ever_published(name: str) -> None:
    current = schema.shape(schema.MESSAGES[name])
    assert schema.incompatible(name, current) == []
    assert schema.published(name)[-1] == current, "run python -m contracts.schema"


def test_no_topic_was_forgotten() -> None:
    """A class that is no longer read would leave its messages in the log unread."""
    assert {path.name for path in schema.PUBLISHED.iterdir()} == set(schema.MESSAGES)


class Kind(msgspec.Struct):
    name: str
    weight: int = 1


class Message(msgspec.Struct):
    user_id: str
    kinds: list[Kind]
    at: int | None = None
    mode: str = "next"


OLD = schema.shape(Message)


def changed(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Schema:
    new = copy.deepcopy(OLD)
    change(new["$defs"]["Message"], new["$defs"]["Kind"])
    return new


BLOCKED: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "kinds[].weight: is required": lambda m, k: k["required"].append("weight"),
    "user_id: was string, is integer": lambda m, k: m["properties"].update(
        user_id={"type": "integer"}
    ),
    "at: was null, is integer": lambda m, k: m["properties"].update(at={"type": "integer"}),
    "mode: was any value": lambda m, k: m["properties"]["mode"].update(enum=["next", "discover"]),
    "mode: maxLength was None, is 4": lambda m, k: m["properties"]["mode"].update(maxLength=4),
    "kinds[].name: minLength was None": lambda m, k: k["properties"]["name"].update(minLength=1),
    "at: is refused": lambda m, k: (
        m["properties"].pop("at"),
        m.update(additionalProperties=False),
    ),
}


@pytest.mark.parametrize("reason", BLOCKED)
def test_a_change_that_cannot_read_the_log_is_named(reason: str) -> None:
    (found,) = unreadable(changed(BLOCKED[reason]), OLD)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    "change",
    [
        lambda m, k: m["properties"].update(new={"type": "string", "default": ""}),
        lambda m, k: m["properties"].pop("mode"),
        lambda m, k: m["properties"]["user_id"].update(description="of whom"),
    ],
    ids=["a field with a default", "a field that had a default is gone", "words"],
)
def test_a_change_that_old_and_new_can_read_passes(
    change: Callable[[dict[str, Any], dict[str, Any]], object], tmp_path: Path
) -> None:
    schema.publish("m", OLD, tmp_path)
    schema.publish("m", changed(change), tmp_path)
    assert len(schema.published("m", tmp_path)) == 2


def test_values_of_an_enum_may_be_added_for_readers_first() -> None:
    few = changed(lambda m, k: m["properties"]["mode"].update(enum=["next"]))
    more = changed(lambda m, k: m["properties"]["mode"].update(enum=["next", "discover"]))
    assert unreadable(more, few) == []
    assert unreadable(few, more) == ["mode: 'discover' is no longer allowed"]


def test_a_pair_of_types_is_compared_at_each_place() -> None:
    """Also if another choice could read it at an earlier place."""
    text, number = (
        {"type": "object", "properties": {"a": {"type": t}}} for t in ("string", "integer")
    )
    a, b, null = {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, {"type": "null"}
    shared = {"$defs": {"A": text, "B": number}, "type": "object"}
    old = {**shared, "properties": {"x": {"anyOf": [a, null]}}, "additionalProperties": a}
    new = {**shared, "properties": {"x": {"anyOf": [b, a, null]}}, "additionalProperties": b}
    assert unreadable(new, old) == ["{}.a: was string, is integer"]


def test_items_of_an_array_of_fixed_places_are_compared() -> None:
    old = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}
    new = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]}
    assert unreadable(new, old) == []
    assert unreadable(old, new) == ["[1]: was number, is integer"]


def test_class_and_schema_that_change_together_are_not_published(tmp_path: Path) -> None:
    """Earlier shapes are kept in files of their own, so they cannot be changed along."""

    class Submission(events.Submission, kw_only=True):
        client: str

    before = schema.shape(events.Submission)
    schema.publish("submission.v1", before, tmp_path)
    new = schema.shape(Submission)
    with pytest.raises(IncompatibleState, match="client: is required"):
        schema.publish("submission.v1", new, tmp_path)
    assert schema.published("submission.v1", tmp_path) == [before]
    (kept,) = (tmp_path / "submission.v1").iterdir()
    kept.write_text(json.dumps(new))
    with pytest.raises(IncompatibleState, match="is not what was published"):
        schema.published("submission.v1", tmp_path)


def test_old_workers_must_read_what_a_new_api_writes(tmp_path: Path) -> None:
    """A field that everybody relied upon may not become optional at once."""
    schema.publish("m", OLD, tmp_path)
    with pytest.raises(IncompatibleState, match=r"user_id: is required.* not updated yet"):
        schema.publish("m", changed(lambda m, k: m["required"].remove("user_id")), tmp_path)


def test_published_shapes_are_those_the_decoders_read() -> None:
    """The rules are about schemas; this holds them against real bytes of the first version."""
    play: dict[str, Any] = dict.fromkeys(("event_id", "track_id", "artist", "title", "source"), "x")
    play |= {"played_at": 1, "received_at": 2}
    required = schema.published("submission.v1")[0]["$defs"]["Play"]["required"]
    assert set(play) == set(required)
    first = json.dumps({"user_id": "ada", "plays": [play]}).encode()
    assert events.decode_submission(first).plays[0].artist == "x"
