"""Correcting a play over HTTP: what stays, what is refused and why; and the pages of a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from api.listeners import plays
from contracts.events import Play, decode_submission
from contracts.ids import event_id, track_id
from tests.api.conftest import World

ADA = {"authorization": "Token ada-token"}
START = datetime(2026, 7, 1, 20, 15, 0, 500_000, tzinfo=UTC)
EVENT = event_id("ada", 1_782_936_900_500, "AIR", "Run")
MBID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"
EXTRA = {"recording_mbid": MBID, "submission_client": "navidrome", "tags": ["dub"]}
#: A row of the history: the columns of the page, and `extra`.
ROW = (
    UUID(EVENT), START, START, "AIR", "Run", "Moon Safari", MBID, 180_000, 200_000, False,
    "navidrome/0.53", ["navidrome"], EXTRA,
)  # fmt: skip


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A history of one play; the parameters of the latest statement that changes one."""
    seen: dict[str, Any] = {}

    async def rows_of(*_: object) -> list[tuple[Any, ...]]:
        return [ROW]

    async def run(_services: object, _query: str, values: dict[str, Any], _row: object) -> None:
        seen.update(values)

    monkeypatch.setattr(plays, "rows_of", rows_of)
    monkeypatch.setattr(plays, "run", run)
    return seen


async def correct(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await client.patch(f"/v1/users/ada/plays/{EVENT}", headers=ADA, json=body)


def logged(world: World) -> Play:
    (record,) = world.log.records
    (play,) = decode_submission(record.value).plays
    return play


@pytest.mark.parametrize("names", [{}, {"artist": "Air"}])
async def test_another_time_keeps_what_identifies_the_track(
    client: httpx.AsyncClient, world: World, asked: dict[str, Any], names: dict[str, str]
) -> None:
    later = START + timedelta(minutes=5)
    body = {"played_at": round(later.timestamp() * 1000), "album": "", **names}
    answer = await correct(client, body)
    assert answer.status_code == 202, answer.text
    play = logged(world)
    assert play.event_id == answer.json()["event_id"] != EVENT
    assert (play.artist, play.title) == (names.get("artist", "AIR"), "Run")
    assert (play.track_id, play.duration_ms, play.album) == (MBID, 200_000, None)
    assert play.extra == {**EXTRA, "imported_from": "correction"}
    # The history may have merged the two by now: what is deleted is the old report alone.
    assert asked == {"user": "ada", "event": UUID(EVENT), "but": play.event_id}


async def test_another_title_is_another_track(
    client: httpx.AsyncClient, world: World, asked: dict[str, Any]
) -> None:
    assert (await correct(client, {"title": "Sexy Boy"})).status_code == 202
    play = logged(world)
    assert (play.track_id, play.duration_ms) == (track_id("AIR", "Sexy Boy"), None)
    assert (play.album, play.extra) == ("Moon Safari", {"imported_from": "correction"})


@pytest.mark.parametrize(
    "body", [{}, {"album": "Premiers"}, {"album": ""}, {"artist": "Air"}, {"played_at": 0}]
)
async def test_what_cannot_be_corrected_is_refused_with_the_true_reason(
    client: httpx.AsyncClient, world: World, asked: dict[str, Any], body: dict[str, Any]
) -> None:
    error = (await correct(client, body)).json()["error"]
    if "played_at" in body:
        assert error["code"] == "too-old"
    else:
        assert error["code"] == "same-play"
        assert "album or capitals alone cannot be corrected" in error["message"]
        assert "Delete the play" in error["message"]
    assert not world.log.records
    assert not asked


async def test_the_cursor_of_a_page_names_its_last_play(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    async def rows_of(_services: object, _query: str, values: dict[str, Any]) -> list[Any]:
        asked.append(values)
        return [ROW[:-1], ROW[:-1]]

    monkeypatch.setattr(plays, "rows_of", rows_of)

    async def page(**query: str) -> httpx.Response:
        query["limit"] = "1"
        return await client.get("/v1/users/ada/plays", headers=ADA, params=query)

    first = msgspec.json.decode((await page()).content)
    await page(before=first["before"])
    assert (asked[-1]["before"], asked[-1]["event"]) == (START, UUID(EVENT))
    await page(before=START.isoformat())  # a cursor of an earlier version: everything earlier
    assert (asked[-1]["before"], asked[-1]["event"]) == (START, UUID(int=0))
    for wrong in ("soon", f"{START.isoformat()}~no-id", f"soon~{EVENT}"):
        refused = await page(before=wrong)
        assert refused.status_code == 400
        assert refused.json()["error"]["field"] == "before"
