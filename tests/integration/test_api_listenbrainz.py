"""ListenBrainz on real stores: feedback is read back, a deleted listen is gone everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import redis
from deltalake import DeltaTable

from api.services import Services
from contracts.accounts import token_hash
from contracts.features import Keys, Listener
from contracts.ids import track_id
from infra.operations.erasure.run import run_pending
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration

USER = "ludmila"
MBIDS = [f"8f3471b5-7e6a-48da-86a9-bbbb00000{i:03x}" for i in range(6)]


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> Iterator[httpx.Client]:
    """The listener's own client; six recordings are played and learned."""
    token = stack.token_for(USER)
    with httpx.Client(
        base_url=stack.api, headers={"authorization": f"Token {token}"}, timeout=60
    ) as made:
        payload = [
            {
                "listened_at": START + 300 * i,
                "track_metadata": {
                    "artist_name": "Popol Vuh",
                    "track_name": f"Piece {i}",
                    "release_name": "Hosianna Mantra",
                    "additional_info": {"recording_mbid": mbid},
                },
            }
            for i, mbid in enumerate(MBIDS)
        ]
        body = {"listen_type": "import", "payload": payload}
        assert made.post("/1/submit-listens", json=body).json() == {"status": "ok"}
        stack.wait_applied(90)
        yield made


START = int(time.time()) - 86_400


def feedback(client: httpx.Client, query: str = "") -> dict[str, Any]:
    """Return a page of feedback."""
    page: dict[str, Any] = client.get(f"/1/feedback/user/{USER}/get-feedback{query}").json()
    return page


def test_love_and_hate_are_read_back(client: httpx.Client) -> None:
    for mbid, score in ((MBIDS[0], 1), (MBIDS[1], -1), (MBIDS[2], 1), (MBIDS[2], 0)):
        body = {"recording_mbid": mbid, "score": score}
        assert client.post("/1/feedback/recording-feedback", json=body).json() == {"status": "ok"}
    assert wait_until(lambda: feedback(client).get("total_count") == 2, 90, 0.2)
    page = feedback(client, "?metadata=true")
    assert [(row["recording_mbid"], row["score"]) for row in page["feedback"]] == [
        (MBIDS[1], -1),
        (MBIDS[0], 1),
    ]
    assert page["feedback"][0]["track_metadata"]["track_name"] == "Piece 1"
    assert page["feedback"][0]["recording_msid"] == track_id("Popol Vuh", "Piece 1")
    assert (page["count"], page["offset"]) == (2, 0)
    assert feedback(client, "?score=1")["total_count"] == 1
    assert feedback(client, "?count=1&offset=1")["feedback"][0]["recording_mbid"] == MBIDS[0]
    url = f"/1/feedback/user/{USER}/get-feedback"
    assert client.get(f"{url}?score=2").status_code == 400
    assert client.get("/1/feedback/user/ada/get-feedback").status_code == 403
    asked = f"{url}-for-recordings?recording_mbids={MBIDS[1]},{MBIDS[5]}"
    assert [row["score"] for row in client.get(asked).json()["feedback"]] == [-1, 0]
    assert client.get(f"{url}-for-recordings").status_code == 400


def test_feedback_by_every_id_that_is_shown(client: httpx.Client) -> None:
    """The id by names of a play that came with an MBID, of the current track, of our own lists."""
    names = ("Popol Vuh", "Piece 4")
    listens = client.get(f"/1/user/{USER}/listens").json()["payload"]["listens"]
    (shown,) = [x for x in listens if x["track_metadata"]["track_name"] == names[1]]
    assert shown["recording_msid"] == track_id(*names)
    now = {"artist_name": "Popol Vuh", "track_name": "Piece 99"}
    body = {"listen_type": "playing_now", "payload": [{"track_metadata": now}]}
    current = client.post("/1/submit-listens?return_msid=true", json=body).json()["recording_msid"]
    assert client.get(f"/1/user/{USER}/playing-now").json()["payload"]["listens"][0][
        "track_metadata"
    ] == {**now, "additional_info": {}}
    nobody = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    for given, status in (
        ({"recording_msid": shown["recording_msid"], "score": 1}, 200),
        ({"recording_msid": MBIDS[4].upper(), "score": 1}, 200),
        ({"recording_msid": current, "score": 1}, 200),
        ({"recording_mbid": nobody, "score": 0}, 200),
        ({"recording_mbid": nobody, "score": 1}, 404),
    ):
        answer = client.post("/1/feedback/recording-feedback", json=given)
        assert answer.status_code == status, (given, answer.text)
    url = f"/1/feedback/user/{USER}/get-feedback-for-recordings"

    def scores(**asked: Any) -> list[int]:
        return [row["score"] for row in client.post(url, json=asked).json()["feedback"]]

    wanted = [shown["recording_msid"], current, nobody]
    assert wait_until(lambda: scores(recording_msids=wanted) == [1, 1, 0], 90, 0.2)
    assert scores(recordings=",".join(wanted), recording_mbids=[MBIDS[4]]) == [1, 1, 1, 0]
    assert scores(recording_mbids=[nobody, MBIDS[4]]) == [0, 1]
    assert len(client.get(f"{url}?recordings={current}").json()["feedback"]) == 1
    assert client.post(url, json={"recording_mbids": 3}).status_code == 400
    for msid in wanted[:2]:
        client.post("/1/feedback/recording-feedback", json={"recording_msid": msid, "score": 0})
    assert wait_until(lambda: scores(recording_msids=wanted) == [0, 0, 0], 90, 0.2)


def test_our_lists_are_playlists(client: httpx.Client) -> None:
    """As Mopidy, Jellyfin and playlist tools read them: the kind, the id, the tracks by MBID."""
    url = f"/1/user/{USER}/playlists"
    page = client.get(f"{url}/createdfor?count=2&offset=1").json()
    assert (page["count"], page["offset"], page["playlist_count"]) == (2, 1, 3)
    tracks = {}
    for each in client.get(f"{url}/createdfor").json()["playlists"]:
        listed = each["playlist"]
        extension = listed["extension"]["https://musicbrainz.org/doc/jspf#playlist"]
        kind = extension["additional_metadata"]["algorithm_metadata"]["source_patch"]
        assert USER in listed["title"]
        assert listed["track"] == []
        assert datetime.fromisoformat(listed["date"]).tzinfo is not None
        identifier = listed["identifier"].removeprefix("https://listenbrainz.org/playlist/")
        whole = client.get(f"/1/playlist/{identifier}").json()["playlist"]
        assert whole["identifier"] == listed["identifier"]
        tracks[kind] = whole["track"]
    assert set(tracks) == {"weekly-jams", "weekly-exploration", "daily-jams"}
    jams = tracks["weekly-jams"]
    assert {each["creator"] for each in jams} >= {"Popol Vuh"}
    named = {x["identifier"][0].removeprefix("https://musicbrainz.org/recording/") for x in jams}
    assert named & set(MBIDS)
    assert all(each["identifier"] and each["title"] for each in jams)
    discovered = {each["title"] for each in tracks["weekly-exploration"]}
    assert not discovered & {f"Piece {i}" for i in range(6)}
    assert client.get(f"/1/playlist/{MBIDS[0]}").status_code == 404
    for path in (url, f"{url}/collaborator", f"{url}/recommendations"):
        assert client.get(path).status_code == 200
    assert client.get(url).json() == {
        "count": 0, "offset": 0, "playlist_count": 0, "playlists": [],
    }  # fmt: skip
    assert client.get(f"/1/user/{USER}/following").json() == {"following": [], "user": USER}
    assert client.get(f"/1/user/{USER}/followers").json() == {"followers": [], "user": USER}
    assert client.get(f"/1/user/{USER}/similar-users").json() == {"payload": []}


def test_a_listener_pins_one_recording_at_a_time(client: httpx.Client) -> None:
    listens = client.get(f"/1/user/{USER}/listens").json()["payload"]["listens"]
    msids = [listen["recording_msid"] for listen in listens[:2]]
    first = client.post("/1/pin", json={"recording_msid": msids[0], "blurb_content": "so quiet"})
    pinned = first.json()["pinned_recording"]
    assert pinned["pinned_until"] - pinned["created"] in range(7 * 86_400 - 60, 7 * 86_400 + 60)
    second = client.post("/1/pin", json={"recording_msid": msids[1]}).json()["pinned_recording"]

    page = client.get(f"/1/{USER}/pins").json()
    assert (page["count"], page["total_count"], page["user_name"]) == (2, 2, USER)
    newest, older = page["pinned_recordings"]
    assert newest == second
    assert (older["recording_msid"], older["blurb_content"]) == (msids[0], "so quiet")
    assert older["pinned_until"] <= newest["created"] + 1  # the second ended the first
    assert older["track_metadata"]["artist_name"] == listens[0]["track_metadata"]["artist_name"]
    assert client.get(f"/1/{USER}/pins?count=1&offset=1").json()["pinned_recordings"] == [older]

    assert client.post("/1/pin/unpin").json() == {"status": "ok"}
    assert client.post("/1/pin/unpin").status_code == 404
    assert client.post(f"/1/pin/delete/{older['row_id']}").json() == {"status": "ok"}
    assert client.post(f"/1/pin/delete/{older['row_id']}").status_code == 404
    assert client.get(f"/1/{USER}/pins").json()["total_count"] == 1
    assert client.get(f"/1/{USER}/pins/following").json()["pinned_recordings"] == []
    nobody = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    for given, status in (
        ({}, 400),
        ({"recording_msid": "x"}, 400),
        ({"recording_msid": msids[0], "pinned_until": 1}, 400),
        ({"recording_msid": msids[0], "blurb_content": "x" * 281}, 400),
        ({"recording_mbid": nobody}, 404),
    ):
        assert client.post("/1/pin", json=given).status_code == status, given


def test_hours_of_the_week_and_albums(client: httpx.Client) -> None:
    payload = client.get(f"/1/stats/user/{USER}/daily-activity").json()["payload"]
    week = payload["daily_activity"]
    assert [len(hours) for hours in week.values()] == [24] * 7
    assert next(iter(week)) == "Monday"
    assert sum(hour["listen_count"] for hours in week.values() for hour in hours) in (5, 6)
    began = datetime.fromtimestamp(START, UTC)
    assert week[began.strftime("%A")][began.hour]["listen_count"] > 0
    payload = client.get(f"/1/stats/user/{USER}/release-groups").json()["payload"]
    (album,) = payload["release_groups"]
    assert album.pop("listen_count") in (5, 6)  # another test deletes one
    assert album == {"release_group_name": "Hosianna Mantra", "artist_name": "Popol Vuh"}
    assert payload["total_release_group_count"] == 1


def test_ratings_of_recommendations(client: httpx.Client) -> None:
    url = "/1/recommendation/feedback"
    for mbid, rating in ((MBIDS[3], "like"), (MBIDS[4], "bad_recommendation")):
        body = {"recording_mbid": mbid, "rating": rating}
        assert client.post(f"{url}/submit", json=body).json() == {"status": "ok"}

    def rated(query: str = "") -> dict[str, str]:
        page = client.get(f"{url}/user/{USER}{query}").json()["recommendation-feedback"]
        return {row["recording_mbid"]: row["rating"] for row in page}

    both = {MBIDS[3]: "like", MBIDS[4]: "bad_recommendation"}
    assert wait_until(lambda: rated() == both, 90, 0.2)
    assert rated("?rating=like") == {MBIDS[3]: "like"}
    assert rated(f"/recordings?mbids={MBIDS[4]},{MBIDS[0]}") == {MBIDS[4]: "bad_recommendation"}
    assert client.get(f"{url}/user/{USER}?rating=meh").status_code == 400
    assert client.post(f"{url}/submit", json={"recording_mbid": "x", "rating": "like"}).is_error
    assert client.post(f"{url}/delete", json={"recording_mbid": MBIDS[3]}).is_success
    assert wait_until(lambda: rated() == {MBIDS[4]: "bad_recommendation"}, 90, 0.2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Listen timestamp missing."),
        ({"listened_at": 1}, "Recording MSID missing."),
        ({"listened_at": "x", "recording_msid": "y"}, "x: Listen timestamp invalid."),
        ({"listened_at": 1, "recording_msid": "y"}, "y: Recording MSID format invalid."),
        ([], "Listen timestamp missing."),
    ],
)
def test_what_is_wrong_with_a_deletion(client: httpx.Client, body: Any, message: str) -> None:
    answer = client.post("/1/delete-listen", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, message)


def test_a_deleted_listen_is_gone_in_every_store(stack: RunningStack, client: httpx.Client) -> None:
    settings = stack.settings
    listen = client.get(f"/1/user/{USER}/listens").json()["payload"]["listens"][2]
    body = {"listened_at": listen["listened_at"], "recording_msid": listen["recording_msid"]}
    stack.finish_erasures()
    assert client.post("/1/delete-listen", json=body).json() == {"status": "ok"}
    assert client.post("/1/delete-listen", json=body).json() == {"status": "ok"}
    assert run_pending(settings, settle=0) == (1, 1)
    payload = client.get(f"/1/user/{USER}/listens").json()["payload"]
    assert listen["listened_at"] not in {each["listened_at"] for each in payload["listens"]}
    assert payload["count"] == 5
    assert client.get(f"/1/user/{USER}/listen-count").json()["payload"]["count"] == 5
    with redis.Redis.from_url(settings.redis_url) as store:
        blob = store.get(Keys(settings.namespace, settings.partitions).listener(USER))
    assert isinstance(blob, bytes)
    assert listen["listened_at"] not in Listener.unpack(blob).seconds
    assert len(Listener.unpack(blob).seconds) == 5
    # Counted here: the files of a deletion may hold another Arrow type of string than a filter.
    held = DeltaTable(settings.paths.lake / "plays").to_pyarrow_table(columns=["user_id"])
    assert held.column("user_id").to_pylist().count(USER) == 5
    # Sent again it is new: the deletion covers what had been received by then.
    again = {k: listen[k] for k in ("listened_at", "track_metadata")}
    again["track_metadata"]["additional_info"] = {}
    body = {"listen_type": "single", "payload": [again]}
    assert client.post("/1/submit-listens", json=body).is_success
    stack.wait_applied(90, ("history-sink",))
    assert client.get(f"/1/user/{USER}/listen-count").json()["payload"]["count"] == 6
    with psycopg.connect(settings.postgres_dsn) as connection:
        left = connection.execute("select count(*) from erasures where user_id = %s", (USER,))
        assert left.fetchone() == (0,)


def test_reading_and_un_hiding_for_another_is_on_record(
    stack: RunningStack, client: httpx.Client
) -> None:
    admin = {"authorization": f"Token {stack.admin_token}"}
    for _ in range(3):
        assert httpx.get(f"{stack.api}/1/user/{USER}/listens", headers=admin, timeout=60).is_success
    shown = {"kind": "undo", "user": USER, "artist": "Popol Vuh", "title": "Piece 1"}
    assert (
        httpx.post(f"{stack.api}/v1/feedback", headers=admin, json=shown, timeout=60).status_code
        == 202
    )
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        rows = connection.execute(
            "select action, origin, count(*) from audit where subject = pseudonym(%s)"
            " and actor = pseudonym('admin') group by 1, 2 order by 1",
            (USER,),
        ).fetchall()
    assert rows == [("data.read", "127.0.0.1", 1), ("track.un-hide", "127.0.0.1", 1)]


def test_a_revoked_token_is_refused_at_once_by_every_process(
    stack: RunningStack, client: httpx.Client
) -> None:
    token = stack.token_for("revoked-soon")
    second = Services(replace(stack.settings, port=0))

    async def elsewhere() -> list[bool]:
        """Another API process: its memory of the token, before and after the revocation."""
        await second.open()
        try:
            while not second.revocations.listening:
                await asyncio.sleep(0.02)
            known = [await second.accounts.identify(token) is not None]
            heard = second.revocations.heard
            await asyncio.to_thread(revoke)
            while second.revocations.heard == heard:
                await asyncio.sleep(0.005)
            return [*known, await second.accounts.identify(token) is not None]
        finally:
            await second.close()

    def revoke() -> None:
        with psycopg.connect(stack.settings.postgres_dsn) as connection:
            connection.execute(
                "update tokens set revoked_at = now() where token_hash = %s", (token_hash(token),)
            )

    headers = {"authorization": f"Token {token}"}
    url = f"{stack.api}/1/validate-token"
    assert client.get(url, headers=headers).json()["valid"] is True
    assert asyncio.run(elsewhere()) == [True, False]
    assert client.get(url, headers=headers).json()["valid"] is False
