"""What an experiment's arm changes in a list, and what the impression records."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from api.experiments.endpoint import check_generations
from api.serving import lists
from api.serving.arms import Arms
from api.serving.asked import Asked, parameters
from api.serving.impressions import ImpressionLog
from api.serving.lists import ListParts
from contracts import batch_view
from contracts.errors import InvalidEvent
from contracts.experiments import arm_of, definition_of
from contracts.impressions import Impression, decode
from contracts.labels import NO_ARM
from online_model import FEATURE_NAMES, Recommender
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


def drafted(key: str = "draft", **overrides: Any) -> str:
    fixed = {"design": "interleaved", "layer": "interleaved", "metric": "preference"}
    made = json.loads(definition(key, **overrides)) | fixed | {"guardrails": []}
    return json.dumps(made)


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
        services.metrics.of_arm,
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


async def test_a_list_is_drafted_from_both_arms(
    client: httpx.AsyncClient, seen: Logged, arms: Arms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each track is the best one left of the arm that picked it, with that arm's numbers."""
    now = time.time()  # the lists compared are of the same second, on a slow machine too
    monkeypatch.setattr(lists, "time", SimpleNamespace(time=lambda: now))
    arms.run([])
    usual = await impression(client, seen, "ada", "?limit=8")
    arms.run([definition("only", popularity=True)])
    (held,) = users_of(definition("only", popularity=True), "changed", 1)
    popular = await impression(client, seen, held, "?limit=8")
    arms.run([drafted(popularity=True), definition("other")])
    shown = await impression(client, seen, "ada", "?limit=8")
    (other,) = {arm_of(definition_of(definition("other")), "ada")}
    assert other is not None
    assert shown.arm == f"draft=control+changed;other={other.name}"
    assert usual.at == shown.at == int(now * 1000), "every list takes its time from one clock"
    assert len(shown.teams or "") == len(shown.tracks) == 8
    left = {"0": list(usual.tracks), "1": list(popular.tracks)}
    for team, track in zip(shown.teams or "", shown.tracks, strict=True):
        assert left[team][0] == track
        left = {t: [x for x in tracks if x != track] for t, tracks in left.items()}
    rows = dict(zip(usual.tracks, usual.matrix().tolist(), strict=True))
    for team, track, row in zip(shown.teams or "", shown.tracks, shown.matrix(), strict=True):
        assert row[1] in (0.5, 1.0)
        if team == "0":
            assert row.tolist()[2:] == rows[track][2:]
    assert shown.arms()[0] == shown.arm.replace(
        "control+changed", ("control+", "changed+")[int((shown.teams or "")[0])]
    )


async def test_an_arm_may_do_without_the_views(
    client: httpx.AsyncClient,
    seen: Logged,
    arms: Arms,
    learned: Recommender,  # noqa: F811
) -> None:
    tables = learned.state.batch_ids, learned.state.batch_weights
    before = [table.copy() for table in tables]
    tables[0][:, 0] = (np.arange(len(tables[0])) + 1) % learned.tracks + 1
    tables[1][:, 0] = 50.0
    at = FEATURE_NAMES.index("batch") + 2
    text = definition(batch_view=False, content_view=False)
    arms.run([text])
    try:
        for arm, uses in (("control", True), ("changed", False)):
            (user,) = users_of(text, arm, 1)
            shown = await impression(client, seen, user)
            assert shown.arm == f"variety={arm}"
            assert bool((shown.matrix()[:, at] > 0).any()) is uses
    finally:
        for table, was in zip(tables, before, strict=True):
            table[:] = was


async def test_an_arm_may_have_another_generation_or_falls_back(
    client: httpx.AsyncClient,
    seen: Logged,
    arms: Arms,
    world: World,
    learned: Recommender,  # noqa: F811
) -> None:
    folder = world.services.settings.paths.batch_view
    text = definition(batch_generation=7)
    arms.run([text])
    (user,) = users_of(text, "changed", 1)
    missing = await impression(client, seen, user)
    assert missing.arm == "variety=changed!"
    assert len(missing.tracks) > 0
    rows = learned.state.track_key[: learned.tracks]
    keys = np.sort(rows[rows > 0])
    manifest = batch_view.Manifest(
        generation=7, algorithm="x", trained_at="", lake_version=None, plays_until=0, listeners=1,
        tracks=len(keys), metrics={},
    )  # fmt: skip
    to = np.roll(np.arange(len(keys), dtype=np.int32), 1)[:, None]
    batch_view.write(
        folder, batch_view.BatchView(keys, to, np.ones(to.shape, np.float32), manifest)
    )
    world.services.slow._tables._bad.clear()  # it would be tried again after a minute
    shown = await impression(client, seen, user)
    assert shown.arm == "variety=changed"
    assert (shown.matrix()[:, FEATURE_NAMES.index("batch") + 2] > 0).any()
    assert learned.views["batch"] == 0, "the live model is as it was"


async def test_latency_and_degraded_lists_are_counted_by_arm(
    client: httpx.AsyncClient, seen: Logged, arms: Arms, world: World
) -> None:
    world.services.metrics._arms.clear()
    texts = [definition("quick"), definition("slow", diversity=1.0)]
    arms.run(texts)
    for user in ("torn", "ada", "bob"):
        await impression(client, seen, user)
    arms.run([])
    await impression(client, seen, "ada")
    counted = world.services.metrics.render().decode()
    for key in ("quick", "slow"):
        found = re.findall(
            rf'segue_experiment_list_seconds_count{{arm="\w+",experiment="{key}"}} (\S+)', counted
        )
        assert sum(map(float, found)) == 3
        poor = re.findall(
            rf'segue_experiment_degraded_lists_total{{arm="\w+",experiment="{key}"}} (\S+)', counted
        )
        assert sum(map(float, poor)) == 1, "the listener whose features cannot be read"


def test_a_generation_that_is_gone_is_refused(tmp_path: Path) -> None:
    made = definition_of(definition(batch_generation=3))
    check_generations(made, tmp_path / "nowhere")
    for kept in ("2", "4"):
        (tmp_path / kept).mkdir()
    with pytest.raises(InvalidEvent, match="batch_generation is 3: kept are 2, 4"):
        check_generations(made, tmp_path)
    (tmp_path / "3").mkdir()
    check_generations(made, tmp_path)


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
    before = world.services.metrics._fell_back
    (user,) = users_of(text, "changed", 1)
    shown = await impression(client, seen, user)
    assert shown.arm == "variety=changed!"
    assert len(shown.tracks) > 0
    rendered = world.services.metrics.render().decode()
    assert f"segue_experiment_fallbacks_total {before + 1:.1f}" in rendered


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


def test_a_long_query_is_answered_and_not_kept(arms: Arms) -> None:
    """A client chooses the length of a query. Thousands of long ones would fill the memory."""
    arms.run([definition(explore_share=0.5)])
    queries = [b"limit=3&a=" + b"x" * length for length in (10, 128, 60_000)]
    for query in queries:
        assert arms.asked("ada", query).limit == 3
    assert [query for _, query in arms._asked] == queries[:1]
