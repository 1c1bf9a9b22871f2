"""The pages of experiments: the conclusion, and who starts and ends one."""

from __future__ import annotations

import pytest

from tests.web.answers import experiment, judged
from tests.web.doubles import ROLES, World, full
from tests.web.markup import read_whole

ONE = "/ui/analytics/experiments/varied"


@pytest.fixture
async def world() -> World:
    made = World()
    full(made.fake)
    await made.sign_in("root", ROLES)
    return made


async def test_without_an_experiment_the_page_says_how_to_make_one(world: World) -> None:
    world.fake.on("GET /v1/experiments", {"experiments": []})
    page = read_whole((await world.client.get("/ui/analytics/experiments")).text)
    assert "segue experiment create" in page.text


async def test_a_draft_is_started_once_and_the_page_says_so(world: World) -> None:
    draft = judged("More variety.", "draft") | {"judged_at": None, "verdict": [], "comparisons": []}
    world.fake.on("GET /v1/experiments/[^/]+", draft)
    page = read_whole((await world.client.get(ONE)).text)
    assert "It has not been started." in page.text
    forms = [a for a, _ in page.forms if (a["action"] or "").endswith("/start")]
    assert "data-once" in forms[0]
    world.fake.on("POST /v1/experiments/[^/]+/start", experiment("x"))
    answer = await world.post(f"{ONE}/start", {})
    assert answer.status_code == 303
    assert "It+runs" in answer.headers["location"]
    assert len(world.fake.bodies("POST .*")) == 1


async def test_a_layer_that_is_taken_is_said(world: World) -> None:
    message = "Experiment 'bold' runs in layer 'lists': end it first."
    world.fake.refuse("POST .*", 409, "layer-taken", message)
    answer = await world.post(f"{ONE}/start", {})
    shown = await world.client.get(answer.headers["location"])
    assert "runs in layer" in shown.text


async def test_bounds_are_drawn_as_shares_of_the_control(world: World) -> None:
    page = (await world.client.get(ONE)).text
    assert "differs by -5.0 % to +25.0 %" in page
    assert "1,187" in page, "listeners of each arm"
    assert "skip_rate" in page, "a metric whose control is 0 is in the table, not in the picture"


async def test_an_analyst_reads_and_changes_nothing(world: World) -> None:
    other = World()
    full(other.fake)
    await other.sign_in("eve", ["analyst"])
    page = read_whole((await other.client.get(ONE)).text)
    assert not [a for a, _ in page.forms if "/experiments/" in (a["action"] or "")]
    assert (await other.post(f"{ONE}/stop", {})).status_code == 403
    assert other.fake.bodies("POST .*") == []


async def test_an_ended_experiment_has_no_button(world: World) -> None:
    world.fake.on("GET /v1/experiments/[^/]+", judged("x", "ended"))
    page = read_whole((await world.client.get(ONE)).text)
    assert not [a for a, _ in page.forms if "/experiments/" in (a["action"] or "")]
