"""Uploading a history through the pages: the file is passed on as it arrives."""

from __future__ import annotations

import re

import httpx
import pytest

from contracts.imports import FORMATS, MAX_UPLOAD
from tests.web.answers import IMPORT, imported
from tests.web.doubles import CSRF, HOSTILE, World, full
from tests.web.markup import read, read_whole
from web.csrf import mask

ORIGIN = {"sec-fetch-site": "same-origin"}


async def _send(
    world: World, content: bytes = b"x" * 300_000, name: str = "out.zip", **more: str
) -> httpx.Response:
    form = {"csrf": mask(CSRF)} | more
    return await world.client.post(
        "/ui/me/imports", data=form, files={"file": (name, content)}, headers=ORIGIN
    )


async def _world() -> World:
    world = World()
    await world.sign_in()
    full(world.fake)
    return world


async def test_the_file_reaches_the_api_as_it_is() -> None:
    world = await _world()
    world.fake.on("POST .*/imports", imported("out.zip", state="waiting"), 202)
    content = bytes(range(256)) * 2000 + b"\r\n--not-a-boundary\r\n"
    answer = await _send(world, content, 'Hörspiel; "x".zip', private="on")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/ui/me/imports/{IMPORT}"
    assert world.fake.bodies("POST .*/imports") == [content]
    asked = world.fake.asked[-1]
    assert asked.url.path == "/v1/users/ada/imports"
    assert asked.url.params["private"] == "true"
    assert asked.url.params["name"].startswith("Hörspiel")


async def test_with_scripts_the_browser_goes_to_the_import() -> None:
    world = await _world()
    world.fake.on("POST .*/imports", imported("x"), 202)
    headers = {**ORIGIN, "hx-request": "true", "x-csrf-token": mask(CSRF)}
    answer = await world.client.post("/ui/me/imports", files={"file": ("x", b"1")}, headers=headers)
    assert answer.headers["hx-redirect"] == f"/ui/me/imports/{IMPORT}"


@pytest.mark.parametrize(
    ("secret", "headers"),
    [("", ORIGIN), ("00", ORIGIN), (mask(CSRF), {"sec-fetch-site": "none"})],
    ids=["no secret", "a wrong one", "from elsewhere"],  # a mask is random, names must not be
)
async def test_nothing_is_passed_on_without_both_proofs(
    secret: str, headers: dict[str, str]
) -> None:
    world = await _world()
    answer = await world.client.post(
        "/ui/me/imports", data={"csrf": secret}, files={"file": ("x", b"1")}, headers=headers
    )
    assert answer.status_code == 403
    assert not world.fake.bodies("POST .*")


async def test_no_file_a_large_one_and_no_form() -> None:
    world = await _world()
    none = await _send(world, b"", "")
    assert none.status_code == 400
    assert "Choose a file." in read_whole(none.text).text
    large = await world.client.post(
        "/ui/me/imports", content=b"", headers={**ORIGIN, "content-length": str(MAX_UPLOAD * 2)}
    )
    assert large.status_code == 413
    assert "larger than 256 MB" in read_whole(large.text).text
    odd = await world.client.post("/ui/me/imports", data={"a": "b"}, headers=ORIGIN)
    assert odd.status_code == 400
    torn = await world.client.post(
        "/ui/me/imports", content=b"--x\r\nrubbish",
        headers={**ORIGIN, "content-type": "multipart/form-data; boundary=x"},
    )  # fmt: skip
    assert torn.status_code in (400, 403)
    assert not world.fake.bodies("POST .*")


async def test_the_limit_stands_on_the_page_and_in_the_field() -> None:
    world = await _world()
    html = (await world.client.get("/ui/me/imports")).text
    assert "At most 256 MB" in html
    assert f'data-most="{MAX_UPLOAD}"' in html


async def test_what_the_api_refuses_is_said_at_the_field() -> None:
    world = await _world()
    world.fake.refuse("POST .*/imports", 429, "too-many-imports", "3 of your files wait.")
    answer = await _send(world)
    assert answer.status_code == 429
    assert "3 of your files wait." in read_whole(answer.text).text
    world.fake.away = True
    # The list of uploads cannot be read either.
    assert (await _send(world)).status_code == 503


async def test_states_of_an_import() -> None:
    world = await _world()
    path = f"/ui/me/imports/{IMPORT}"
    states = {
        "waiting": "waits for its turn",
        "running": "250 of 1,000 bytes read",
        "done": "Imported: 90 plays",
    }
    for state, text in states.items():
        world.fake.on("GET .*/imports/[^/]+", imported("x", state=state, read_bytes=250))
        answer = await world.client.get(path)
        assert text in read_whole(answer.text).text
        assert ("every 1s" in answer.text) == (state != "done")
    failed = imported(
        "x", state="failed", reason="unknown-format",
        problem="x is not an export that Segue can read.",
        examples=[], rejected={}, dropped={}, refused=False,
    )  # fmt: skip
    world.fake.on("GET .*/imports/[^/]+", failed)
    page = read_whole((await world.client.get(path)).text)
    assert "x is not an export that Segue can read." in page.text
    assert all(about in page.text for about in FORMATS.values())


async def test_while_the_api_is_away_the_state_stays() -> None:
    world = await _world()
    world.fake.away = True
    answer = await world.client.get(f"/ui/me/imports/{IMPORT}", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-reswap"]) == (503, "none")


async def test_refused_records_are_shown_and_downloaded() -> None:
    world = await _world()
    world.fake.on("GET .*/imports/[^/]+", imported(HOSTILE))
    answer = await world.client.get(f"/ui/me/imports/{IMPORT}", headers={"hx-request": "true"})
    assert "bad time" in read(answer.text).text
    assert not re.search(r"<img", answer.text)
    world.fake.on("GET .*/refused", httpx.Response(200, content=b'{"record": 7}\n'))
    file = await world.client.get(f"/ui/me/imports/{IMPORT}/refused")
    assert file.content == b'{"record": 7}\n'
    assert "attachment" in file.headers["content-disposition"]
    assert file.headers["content-type"] == "application/x-ndjson"
    asked = world.fake.asked[-1]
    assert asked.url.path.endswith("/refused")
    assert asked.headers["authorization"] == "Bearer t"
