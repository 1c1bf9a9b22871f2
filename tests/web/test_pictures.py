"""Pages that compare and draw: what if, the life of a play, albums, stories, months, relays."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.web.answers import EVENT, TRACK
from tests.web.doubles import HOSTILE, World, full
from tests.web.markup import read_whole


async def _world(name: str = "Air") -> World:
    world = World()
    await world.sign_in()
    full(world.fake, name)
    return world


async def test_a_minute_ago_and_now() -> None:
    world = await _world()
    page = read_whole((await world.client.get("/ui/what-if")).text)
    assert "A minute ago and now" in page.text
    asked = [r for r in world.fake.asked if r.url.path.endswith("/what-if")]
    assert list(asked[-1].url.params) == ["at", "limit"]
    # Each track of either list is in the table.
    assert all(f"{title} · Air" in page.text for title in ("B", "C", "D"))


async def test_another_context_reaches_the_api() -> None:
    world = await _world()
    html = (
        await world.client.get(f"/ui/what-if?without={EVENT}&play={TRACK}&at=2026-01-02T20:00")
    ).text
    assert "1 came, 1 went, 1 moved" in html
    asked = [r.url.params for r in world.fake.asked if r.url.path.endswith("/what-if")][-1]
    assert (asked["without"], asked["play"]) == (EVENT, TRACK)
    assert asked["at"] == "2026-01-02T20:00:00+00:00"


async def test_what_cannot_be_imagined_is_said_at_the_form() -> None:
    world = await _world()
    wrong = await world.client.get("/ui/what-if?at=soon")
    assert wrong.status_code == 400
    assert "not a date and time" in read_whole(wrong.text).text
    world.fake.refuse("GET .*/what-if", 404, "not-in-window", "Not one of them.", "without")
    refused = await world.client.get(f"/ui/what-if?without={EVENT}")
    assert "Not one of them." in read_whole(refused.text).text


async def test_the_life_of_a_play_and_what_it_does() -> None:
    world = await _world()
    page = read_whole((await world.client.get(f"/ui/plays/{EVENT}")).text)
    assert "Air not yet: Air" in page.text
    assert "Air not known: Air" in page.text
    assert "Without this play, 1 track would leave your list, 1 would come in" in page.text
    world.fake.refuse("GET .*/life", 503, "unavailable", "Away.")
    world.fake.refuse("GET .*/what-if", 404, "not-in-window", "Not there.")
    page = read_whole((await world.client.get(f"/ui/plays/{EVENT}")).text)
    assert "The play is safe." in page.text
    assert "no longer one of them" in page.text


async def test_an_album_from_catalogue_or_history() -> None:
    world = await _world("Moon Safari")
    page = read_whole((await world.client.get("/ui/albums?artist=Air&name=Moon")).text)
    assert "1998" in page.text
    world.fake.refuse("GET /v1/albums", 404, "unknown-album", "No album.")
    page = read_whole((await world.client.get("/ui/albums?artist=Air&name=Moon")).text)
    assert "from your history" in page.text
    world.fake.on("GET .*/plays", {"user": "ada", "plays": [], "before": None})
    assert (await world.client.get("/ui/albums?artist=Air&name=Moon")).status_code == 404
    assert (await world.client.get("/ui/albums")).status_code == 404


@pytest.mark.parametrize("name", ["Air", HOSTILE * 20, "\x07 & <b>"])
async def test_a_card_is_a_picture_of_its_own(name: str) -> None:
    world = await _world(name)
    for card in range(1, 7):
        answer = await world.client.get(f"/ui/stats/story/2026/{card}.svg")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/svg+xml"
        root = ElementTree.fromstring(answer.content)
        assert {element.tag.split("}")[1] for element in root.iter()} <= {
            "svg", "style", "rect", "text",
        }  # fmt: skip
    assert (await world.client.get("/ui/stats/story/2026/7.svg")).status_code == 404


async def test_a_month_in_which_no_artist_was_heard() -> None:
    """Each play was skipped, or is by an unknown artist: these count as plays only."""
    world = await _world()
    found = (await world.site.api.call("GET", "/v1/users/ada/stats")) | {"artists": []}
    world.fake.on("GET .*/stats", found)
    answer = await world.client.get("/ui/stats/story/2026-01")
    assert answer.status_code == 200
    page = read_whole(answer.text)
    assert "came back" in page.text
    assert "played most" not in page.text
    assert (await world.client.get("/ui/stats/story/2026-01/5.svg")).status_code == 200
    assert (await world.client.get("/ui/stats/story/2026-01/6.svg")).status_code == 404
    assert (await world.client.get("/ui/stats")).status_code == 200


async def test_months_without_a_play() -> None:
    world = await _world()
    none = {"user": "ada", "zone": "UTC", "months": ["2026-01-01", "2026-02-01"], "artists": []}
    world.fake.on("GET .*/stats/months", none)
    page = read_whole((await world.client.get("/ui/stats/months?months=7")).text)
    assert "No play in these months" in page.text


async def test_relays_are_made_paused_and_removed() -> None:
    world = await _world()
    world.fake.on("PUT .*/relays/.*", {})
    world.fake.on("DELETE .*/relays/.*", None)
    path = "/ui/me/relays/lastfm"
    kept = await world.post(path, {"action": "keep", "secret": " s3cret "})
    assert kept.status_code == 303
    paused = await world.post(path, {"action": "pause", "secret": ""})
    assert "Paused" in paused.headers["location"]
    await world.post(path, {"action": "resume"})
    assert world.fake.bodies("PUT .*") == [
        b'{"secret":"s3cret"}', b'{"state":"paused"}', b'{"state":"active"}',
    ]  # fmt: skip
    await world.post(path, {"action": "remove"})
    assert world.fake.asked[-1].method == "DELETE"
    empty = await world.post(path, {"action": "keep", "secret": ""})
    assert empty.status_code == 400
    world.fake.refuse("PUT .*/relays/.*", 400, "bad-secret", "That is not a session key.", "secret")
    refused = await world.post(path, {"action": "keep", "secret": "x"})
    assert "That is not a session key." in read_whole(refused.text).text
    assert "s3cret" not in refused.text
