"""What an experiment's arm changes of a list, and what the impression says of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx
import pytest

from api.serving.arms import Arms
from api.serving.asked import Asked, parameters
from api.serving.impressions import ImpressionLog
from api.serving.lists import ListParts
from contracts.experiments import NO_ARM, arm_of, definition_of
from contracts.impressions import Impression, decode
from tests.api.conftest import World
from tests.api.test_desk import Logged, learned, logged  # noqa: F401  fixtures

ADMIN = {"authorization": "Token admin-token"}


def definition(key: str = "variety", **overrides: Any) -> str:
    arms = [
        {"name": "control", "weight": 0.5},
        {"name": "changed", "weight": 0.5, "overrides": overrides},
    ]
    return json.dumps(
        {
            "key": key,
            "layer": key,
            "hypothesis": "It is better.",
            "metric": "plays_per_day",
            "planned_end": "2099-01-01T00:00:00Z",
            "arms": arms,
        }
    )


def users_of(text: str, arm: str, count: int = 5) -> list[str]:
    made = definition_of(text)
    names = (f"user{n}" for n in range(1000))
    return [u for u in names if (found := arm_of(made, u)) and found.name == arm][:count]


@pytest.fixture
def arms(world: World, monkeypatch: pytest.MonkeyPatch) -> Arms:
    """The application's arms; no experiment runs."""
    services = world.services
    monkeypatch.setattr(services.arms, "running", {})
    services.arms._asked.clear()
    return services.arms


@pytest.fixture
def seen(world: World, logged: Logged, arms: Arms, monkeypatch: pytest.MonkeyPatch) -> Logged:  # noqa: F811
    """What the application's own desk and thread log."""
    services = world.services
    parts = ListParts(
        services.features,
        services.model,
        ImpressionLog(services.impressions, services.topics.impressions, 4),
        services.metrics.degraded,
        0.0,
    )
    monkeypatch.setattr(services.desk, "_parts", parts)
    monkeypatch.setattr(services.slow, "_parts", parts)
    return logged


async def impression(
    client: httpx.AsyncClient, seen: Logged, user: str, query: str = ""
) -> Impression:
    seen.records.clear()
    answer = await client.get(f"/v1/users/{user}/recommendations{query}", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    (record,) = seen.records
    return decode(record.value)


async def test_without_an_experiment_nothing_is_said(
    client: httpx.AsyncClient, seen: Logged
) -> None:
    assert (await impression(client, seen, "ada")).arm == NO_ARM


async def test_both_arms_are_named_and_one_is_changed(
    client: httpx.AsyncClient, seen: Logged, arms: Arms
) -> None:
    text = definition(explore_share=1.0)
    arms.run([text])
    for user in users_of(text, "control"):
        shown = await impression(client, seen, user)
        assert shown.arm == "variety=control"
        assert set(shown.matrix()[:, 1].tolist()) == {1.0}
    for user in users_of(text, "changed"):
        shown = await impression(client, seen, user, "?limit=3")
        assert shown.arm == "variety=changed"
        assert shown.matrix()[0, 1] < 1.0, "the first place explores"


async def test_the_holdout_gets_what_a_stranger_gets(
    client: httpx.AsyncClient, seen: Logged, arms: Arms
) -> None:
    text = definition("holdout", popularity=True)
    arms.run([text])
    (user,) = users_of(text, "changed", 1)
    held = await impression(client, seen, user)
    arms.run([])
    assert held.tracks == (await impression(client, seen, "stranger")).tracks
    assert held.tracks != (await impression(client, seen, user)).tracks


async def test_an_arm_may_make_lists_on_the_thread(
    client: httpx.AsyncClient, seen: Logged, arms: Arms
) -> None:
    text = definition(diversity=1.0, artist_cap=1)
    arms.run([text])
    (user,) = users_of(text, "changed", 1)
    assert (await impression(client, seen, user)).arm == "variety=changed"


async def test_a_request_that_decides_itself_does_not_count(
    client: httpx.AsyncClient, seen: Logged, arms: Arms
) -> None:
    text = definition(diversity=1.0)
    arms.run([text])
    for arm in ("control", "changed"):
        (user,) = users_of(text, arm, 1)
        assert (await impression(client, seen, user, "?diversity=0.2")).arm == NO_ARM


async def test_layers_add_up(client: httpx.AsyncClient, seen: Logged, arms: Arms) -> None:
    texts = [definition("one", explore_share=0.5), definition("two", popularity=True)]
    arms.run(texts)
    both = set(users_of(texts[0], "changed", 100)) & set(users_of(texts[1], "changed", 100))
    shown = await impression(client, seen, both.pop())
    assert shown.arm == "one=changed;two=changed"


async def test_a_tester_chooses_the_arm(
    client: httpx.AsyncClient, seen: Logged, arms: Arms
) -> None:
    arms.run([definition(explore_share=1.0)])
    for user in ("ada", "bob"):
        shown = await impression(client, seen, user, "?arm=variety:changed")
        assert shown.arm == "variety=changed?"
        assert shown.matrix()[0, 1] < 1.0
    for query, says in (("nothing:changed", "running: variety"), ("variety:x", "control, changed")):
        path = f"/v1/users/ada/recommendations?arm={query}"
        answer = await client.get(path, headers=ADMIN)
        assert (answer.status_code, says in answer.text) == (400, True), answer.text
    own = {"authorization": "Token ada-token"}
    path = "/v1/users/ada/recommendations?arm=variety:changed"
    assert (await client.get(path, headers=own)).status_code == 403


async def test_an_arm_that_breaks_falls_back_and_is_marked(
    client: httpx.AsyncClient,
    seen: Logged,
    arms: Arms,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(user: str, asked: Asked) -> bytes:
        raise RuntimeError("broken")

    text = definition(diversity=1.0)
    arms.run([text])
    monkeypatch.setattr(world.services.slow, "list", broken)
    (user,) = users_of(text, "changed", 1)
    shown = await impression(client, seen, user)
    assert shown.arm == "variety=changed!"
    assert len(shown.tracks) > 0
    assert "segue_experiment_fallbacks_total 1.0" in world.services.metrics.render().decode()


def test_a_definition_that_cannot_be_read_is_left_out(arms: Arms) -> None:
    arms.run(["{}", definition()])
    assert list(arms.running) == ["variety"]


def test_an_answer_is_remembered_until_experiments_change(arms: Arms) -> None:
    text = definition(explore_share=0.5)
    assert arms.asked("ada", b"limit=3") is parameters(b"limit=3")
    arms.run([text])
    first = arms.asked("ada", b"limit=3")
    assert first is arms.asked("ada", b"limit=3")
    arms.run([])
    assert arms.asked("ada", b"limit=3").arm == NO_ARM
    counts = Counter(arms.asked(f"user{n}", b"").arm for n in range(100))
    assert counts == {NO_ARM: 100}
