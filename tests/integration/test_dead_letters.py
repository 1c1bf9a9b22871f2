"""What cannot be used is listed with its reason, and sent once more on request."""

from __future__ import annotations

import time
import uuid

import httpx
import msgspec
import psycopg
import pytest
from confluent_kafka import Producer

from contracts import dead_letters
from contracts.dead_letters import Letter
from contracts.events import Play, Submission, encode
from contracts.ids import event_id, partition_of, track_id
from contracts.topics import Topics
from infra.operations.dead_letters import replay
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration


def waiting(stack: RunningStack, marker: str) -> list[Letter]:
    """Return the letters whose bytes hold the marker."""
    found = dead_letters.read(stack.settings)
    return [x for x in found if marker.encode() in (x.content.value or b"")]


def produce(stack: RunningStack, user: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": stack.settings.kafka, "acks": "all"})
    partition = partition_of(user, stack.settings.partitions)
    producer.produce(Topics(stack.settings.namespace).plays, value, user.encode(), partition)
    assert producer.flush(15) == 0


def test_one_poison_message_is_one_letter_and_blocks_nobody(stack: RunningStack) -> None:
    marker = uuid.uuid4().hex
    produce(stack, "ada", f'{{"broken {marker}'.encode())
    stack.wait_applied()
    letters = waiting(stack, marker)
    assert [x.content.reason for x in letters] == ["bad-json"]
    assert letters[0].stages == ["history-sink", "lake-sink", "learner", "listeners"]
    assert letters[0].content.value == f'{{"broken {marker}'.encode()

    # Still broken: the replay makes a new letter, and the old one no longer waits.
    outcomes = replay(stack.settings, letters, api=stack.api, token=stack.admin_token)
    assert outcomes == {letters[0].id: "sent"}
    stack.wait_applied()
    again = waiting(stack, marker)
    assert [x.id for x in again] != [letters[0].id]
    assert len(again) == 1


def test_a_play_the_api_refused_is_kept_and_posted_again(stack: RunningStack) -> None:
    """Too far in the future when it came; good once its time has come."""
    title = f"title {uuid.uuid4().hex}"
    soon = int(time.time() * 1000) + 3_600_000 + 5_000
    play = {"user": "ada", "artist": "Air", "title": title, "played_at": soon}
    fine = {**play, "title": f"{title} fine", "played_at": soon - 10_000_000}
    answer = httpx.post(
        f"{stack.api}/v1/plays",
        content=msgspec.json.encode({"plays": [play, fine]}),
        headers={"authorization": f"Bearer {stack.admin_token}"},
        timeout=60,
    )
    assert [r["status"] for r in answer.json()["results"]] == ["rejected", "accepted"]
    letters = waiting(stack, title)
    assert len(letters) == 1
    assert letters[0].stages == ["api"]
    time.sleep(max(0.0, soon / 1000 - 3600 - time.time()) + 0.5)
    outcomes = replay(stack.settings, letters, api=stack.api, token=stack.admin_token)
    assert list(outcomes.values()) == ["sent"]
    assert waiting(stack, title) == []
    stack.wait_applied()
    listens = httpx.get(
        f"{stack.api}/1/user/ada/listens",
        headers={"authorization": f"Token {stack.admin_token}"},
        timeout=60,
    ).json()["payload"]["listens"]
    assert {title, f"{title} fine"} <= {x["track_metadata"]["track_name"] for x in listens}


def test_a_play_that_is_refused_again_stays_one_letter(stack: RunningStack) -> None:
    title = f"title {uuid.uuid4().hex}"
    play = {"user": "ada", "artist": "Air", "title": title, "played_at": 1}
    answer = httpx.post(
        f"{stack.api}/v1/plays",
        content=msgspec.json.encode({"plays": [play]}),
        headers={"authorization": f"Bearer {stack.admin_token}"},
        timeout=60,
    )
    assert answer.json()["rejected"] == 1
    (letter,) = waiting(stack, title)
    for _ in range(2):
        outcomes = replay(stack.settings, [letter], api=stack.api, token=stack.admin_token)
        assert "too-old" in outcomes[letter.id]
    assert [each.id for each in waiting(stack, title)] == [letter.id]


def test_a_scrobble_the_api_refused_is_posted_again(stack: RunningStack) -> None:
    """Last.fm's protocol has other names and counts in seconds; too early when it came."""
    title = f"title {uuid.uuid4().hex}"
    soon = int(time.time()) + 3605
    form = {"method": "track.scrobble", "sk": stack.token_for("eva"), "format": "json"}
    form |= {"artist": "Air", "track": title, "timestamp": str(soon), "duration": "180"}
    answer = httpx.post(f"{stack.api}/2.0/", data=form, timeout=60).json()
    assert answer["scrobbles"]["@attr"] == {"accepted": 0, "ignored": 1}
    (letter,) = waiting(stack, title)
    time.sleep(max(0.0, soon - 3600 - time.time()) + 0.5)
    outcomes = replay(stack.settings, [letter], api=stack.api, token=stack.admin_token)
    assert outcomes == {letter.id: "sent"}
    stack.wait_applied(workers=("history-sink",))
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        found = connection.execute(
            "select user_id, extract(epoch from played_at)::bigint, duration_ms, source from plays"
            " where title = %s",
            (title,),
        ).fetchall()
    assert found == [("eva", soon, 180_000, "lastfm")]


def test_a_submission_of_another_version_is_refused_with_that_reason(stack: RunningStack) -> None:
    marker = uuid.uuid4().hex
    play = Play(
        event_id=event_id("ada", 1_700_000_000_000, "Air", marker),
        track_id=track_id("Air", marker),
        artist="Air",
        title=marker,
        played_at=1_700_000_000_000,
        received_at=1_700_000_000_000,
        source="test/1",
    )
    produce(stack, "ada", encode(Submission(user_id="ada", plays=[play], version=9)))
    stack.wait_applied()
    assert [x.content.reason for x in waiting(stack, marker)] == ["bad-version"]
