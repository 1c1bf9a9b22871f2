"""Work that grows with a listener's data, or with the list, runs on a thread."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from api.listenbrainz import feedback, recommendation
from api.listenbrainz.mapping import recording_msid
from api.listenbrainz.ranked import rank_now
from contracts.ids import track_id
from tests.api.conftest import World
from tests.api.test_desk import learned, logged  # noqa: F401  fixtures

ADA = {"authorization": "Token ada-token"}
MBID = "11111111-2222-4333-8444-555555555555"


async def known(*_: Any) -> None:
    """Everybody is known: no PostgreSQL is asked."""


def noting(of: Any, threads: set[int]) -> Any:
    """Return the same function; it notes on which thread it is called."""

    def called(*args: Any, **named: Any) -> Any:
        threads.add(threading.get_ident())
        return of(*args, **named)

    return called


@pytest.mark.usefixtures("logged")
async def test_a_thousand_recordings_are_ranked_on_the_thread_of_slow_lists(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(_: str) -> bytes:
        return b"\x01\x00\x00\x00"

    threads: set[int] = set()
    monkeypatch.setattr(recommendation, "check_known", known)
    monkeypatch.setattr(world.services.features, "get", get)
    monkeypatch.setattr(recommendation, "rank_now", noting(rank_now, threads))
    monkeypatch.setattr(recommendation, "mbid_of", lambda name, *_: f"mbid of {name}")
    path = "/1/cf/recommendation/user/ada/recording"
    answer = await client.get(path, params={"count": 3}, headers=ADA)
    payload = answer.json()["payload"]
    assert [each["recording_mbid"][:7] for each in payload["mbids"]] == ["mbid of"] * 3
    assert payload["model_id"] == f"segue-{world.services.model.generation}"
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("kind", ["mbid", "msid"])
async def test_feedback_is_hashed_on_a_thread_and_read_whole_only_for_names(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    asked: list[dict[str, Any]] = []

    async def rows_of(_: Any, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        asked.append(values)
        return [("love", 1_700_000_000, MBID, "Air", "Run")]

    threads: set[int] = set()
    monkeypatch.setattr(feedback, "check_known", known)
    monkeypatch.setattr(feedback, "rows_of", rows_of)
    monkeypatch.setattr(feedback, "recording_msid", noting(recording_msid, threads))
    names = {"mbid": MBID, "msid": track_id("Air", "Run")}
    answer = await client.get(
        "/1/feedback/user/ada/get-feedback-for-recordings",
        params={f"recording_{kind}s": f"{names[kind]},{'0' * 8}"}, headers=ADA,
    )  # fmt: skip
    assert [each["score"] for each in answer.json()["feedback"]] == [1, 0]
    assert asked == [{"user": "ada", "by_names": kind == "msid", "ids": [names[kind], "0" * 8]}]
    assert len(threads) == 1
    assert threading.get_ident() not in threads
