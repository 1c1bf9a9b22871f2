"""The operator's pages do what their buttons announce, once, and show the result."""

from __future__ import annotations

import pytest

from tests.web.answers import LETTER
from tests.web.doubles import ROLES, World, full
from tests.web.markup import read_whole
from web.navigation import current, groups_for
from web.sessions import Session

DONE = {"sent": 1, "failed": 0, "left": 0, "letters": [{"id": LETTER, "sent": True, "outcome": ""}]}


@pytest.fixture
async def world() -> World:
    made = World()
    full(made.fake)
    await made.sign_in("root", ROLES)
    return made


async def test_no_letter_waits(world: World) -> None:
    none = {"letters": [], "total": 0, "groups": [], "looked_at": 5000}
    world.fake.on("GET /v1/dead-letters", none)
    page = read_whole((await world.client.get("/ui/ops/dead-letters")).text)
    assert "every message was processed" in page.text
    page = read_whole((await world.client.get("/ui/ops/dead-letters?reason=x")).text)
    assert "No letter waits with this filter" in page.text


async def test_a_letter_is_sent_once_more_and_the_page_says_so(world: World) -> None:
    path = f"/ui/ops/dead-letters/{LETTER}"
    page = read_whole((await world.client.get(path)).text)
    assert "every worker reads them again" in page.text
    forms = [attributes for attributes, _ in page.forms if "replay" in (attributes["action"] or "")]
    assert "data-once" in forms[0]  # the second click of a double click sends nothing
    world.fake.on("POST /v1/dead-letters/[^/]+/replay", DONE)
    answer = await world.post(f"{path}/replay", {})
    assert answer.status_code == 303
    assert "1+message+sent+once+more" in answer.headers["location"]
    shown = await world.client.get(answer.headers["location"])
    assert "1 message sent once more." in shown.text
    assert len(world.fake.bodies("POST .*")) == 1


async def test_letters_of_a_reason_are_sent_together(world: World) -> None:
    world.fake.on("POST /v1/dead-letters/replay", DONE)
    await world.post("/ui/ops/dead-letters", {"topic": "segue.plays", "reason": "bad-json"})
    assert world.fake.bodies("POST .*") == [b'{"topic":"segue.plays","reason":"bad-json"}']


async def test_who_comes_second_is_told_to_wait(world: World) -> None:
    message = "Dead letters are sent already; wait until it has finished."
    world.fake.refuse("POST .*", 409, "busy", message)
    for path in ("/ui/ops/dead-letters", f"/ui/ops/dead-letters/{LETTER}/replay"):
        answer = await world.post(path, {"topic": "x", "reason": "y"})
        assert answer.status_code == 303
        assert "wait+until+it+has+finished" in answer.headers["location"]


async def test_a_letter_sent_before_has_no_button(world: World) -> None:
    sent = {"id": "3:7", "at": 1, "topic": "http:/v1/plays", "partition": -1, "offset": -1,
            "reason": "too-old", "detail": "x", "stages": ["api"], "user": None, "bytes": 0,
            "replayed": True}  # fmt: skip
    letter = {"letter": sent, "value": None, "whole_bytes": None}
    world.fake.on("GET /v1/dead-letters/[^/]+", letter)
    page = read_whole((await world.client.get("/ui/ops/dead-letters/3:7")).text)
    assert "It was sent once more already" in page.text
    assert not [a for a, _ in page.forms if "replay" in (a.get("action") or "")]


async def test_a_generation_goes_into_service_when_its_number_is_typed(world: World) -> None:
    wrong = await world.post("/ui/ops/models", {"generation": "2", "confirm": "3"})
    assert wrong.status_code == 400
    assert "Type the number 2 to confirm." in read_whole(wrong.text).text
    assert not world.fake.bodies("POST .*")
    done = {"generation": {"generation": 2}, "before": 3}
    world.fake.on("POST /v1/model/generations/2/promote", done)
    answer = await world.post("/ui/ops/models", {"generation": "2", "confirm": "2"})
    assert "Generation+2+is+in+service+in+place+of+3" in answer.headers["location"]
    world.fake.refuse("POST .*/promote", 409, "not-possible", "refused: it is in service already.")
    again = await world.post("/ui/ops/models", {"generation": "2", "confirm": "2"})
    assert again.status_code == 409
    assert "in service already" in read_whole(again.text).text


async def test_going_back_says_from_which_generation(world: World) -> None:
    done = {"generation": {"generation": 2}, "before": 3}
    world.fake.on("POST /v1/model/rollback", done)
    await world.post("/ui/ops/models/rollback", {"current": "3"})
    asked = [r for r in world.fake.asked if r.method == "POST"]
    assert asked[0].url.params["current"] == "3"
    world.fake.refuse("POST .*", 409, "not-possible", "refused: generation 2 is in service.")
    late = await world.post("/ui/ops/models/rollback", {"current": "3"})
    assert "generation+2+is+in+service" in late.headers["location"]


async def test_no_generation_and_one_the_learner_does_not_read(world: World) -> None:
    page = read_whole((await world.client.get("/ui/ops/models")).text)
    assert "still reads generation 1" in page.text
    world.fake.on("GET /v1/model/generations", {"generations": [], "in_use": None})
    empty = read_whole((await world.client.get("/ui/ops/models")).text)
    assert "segue nightly" in empty.text


async def test_the_lake_is_empty_or_full_of_small_files(world: World) -> None:
    page = read_whole((await world.client.get("/ui/ops/lake")).text)
    assert "99, merged by the next nightly" in page.text
    assert "cannot be read: Air" in page.text
    world.fake.on("GET /v1/lake", {"tables": []})
    assert "holds nothing yet" in (await world.client.get("/ui/ops/lake")).text


@pytest.mark.parametrize(
    ("roles", "path", "group"),
    [
        (["analyst"], "/ui/ops/runs", "Analytics"),
        (["analyst"], "/ui/analytics/model", "Analytics"),
        (["admin"], "/ui/ops/runs/x", "Operation"),
        (["admin"], "/ui/ops/audit", "Accounts"),
        (["admin"], "/ui/analytics/top-artists", "Analytics"),
        (["listener"], "/ui/keys", "Music"),
    ],
)
def test_a_page_stands_in_its_group(roles: list[str], path: str, group: str) -> None:
    session = Session(token="t", user="u", roles=roles, csrf="", expires=0)
    groups = groups_for(session, "/ui")
    assert all(len(one.entries) <= 7 for one in groups)
    found = current(groups, path)
    assert found is not None
    assert found.name == group


async def test_two_artists_are_decided_to_be_one(world: World) -> None:
    page = read_whole((await world.client.get("/ui/ops/catalogue")).text)
    assert "likeness 80 %" in page.text
    assert "tags agree 40 %" in page.text
    assert "it speaks against one artist" in page.text
    forms = [form for form, fields in page.forms if "pair" in fields]
    assert all("data-once" in form for form in forms)
    world.fake.on("POST /v1/catalogue/review/[^/]+", {})
    form = {"pair": "a+b", "decision": "merge", "tab": "pending"}
    answer = await world.post("/ui/ops/catalogue", form)
    assert answer.headers["location"].startswith("/ui/ops/catalogue?decision=pending&said=Noted")
    assert world.fake.bodies("POST .*") == [b'{"decision":"merge"}']
    asked = [r.url.raw_path for r in world.fake.asked if r.method == "POST"]
    assert asked == [b"/v1/catalogue/review/a%2Bb"]
    world.fake.refuse("POST .*", 404, "unknown-pair", "There is no pair 'x' to decide on.")
    late = await world.post("/ui/ops/catalogue", {"pair": "x", "decision": "merge"})
    assert "no pair" in (await world.client.get(late.headers["location"])).text


async def test_a_suspect_is_released(world: World) -> None:
    page = read_whole((await world.client.get("/ui/ops/suspects")).text)
    assert "too-fast" not in page.text  # in words
    world.fake.on("POST /v1/suspects/.+/release", {"user": "a/b", "released": True}, 202)
    answer = await world.post("/ui/ops/suspects", {"user": "a/b"})
    assert "a/b is released" in (await world.client.get(answer.headers["location"])).text
    asked = [r.url.raw_path for r in world.fake.asked if r.method == "POST"]
    assert asked == [b"/v1/suspects/a%2Fb/release"]
    world.fake.refuse("POST .*", 404, "unknown-suspect", "'a/b' is not a suspect.")
    again = await world.post("/ui/ops/suspects", {"user": "a/b"})
    assert "is not a suspect" in (await world.client.get(again.headers["location"])).text
