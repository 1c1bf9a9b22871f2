"""Requests in the exact shapes that players send, and the answers these players look for.

The shapes were read in the players' sources: Navidrome (adapters/listenbrainz), Pano Scrobbler
(api/listenbrainz), Web Scrobbler (core/scrobbler/listenbrainz), mpdscribble (src/Scrobbler.cxx) and
VLC (modules/misc/audioscrobbler.c), as of November 2026.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from api.auth import Identity
from contracts.events import Feedback, Play, Submission
from tests.api.conftest import TOKENS, World

NOW = int(time.time()) - 600
MBID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"

#: Player -> (path, headers, body) of one finished track.
LISTENS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "navidrome": (
        "/1/submit-listens",
        {"content-type": "application/json; charset=UTF-8", "authorization": "Token ada-token"},
        {
            "listen_type": "single",
            "payload": [
                {
                    "listened_at": NOW,
                    "track_metadata": {
                        "artist_name": "Stereolab",
                        "track_name": "Jenny Ondioline",
                        "release_name": "Transient Random-Noise Bursts",
                        # What is empty is left out, but for ids of artists that have none.
                        "additional_info": {
                            "submission_client": "navidrome",
                            "submission_client_version": "0.58.0 (f9f6db0e)",
                            "tracknumber": 7,
                            "artist_names": ["Stereolab", "Nurse With Wound"],
                            "artist_mbids": [MBID, ""],
                            "recording_mbid": MBID,
                            "duration_ms": 1088000,
                        },
                    },
                }
            ],
        },
    ),
    "pano": (
        "/1/submit-listens",
        {"content-type": "application/json", "authorization": "token ada-token"},
        {
            "listen_type": "single",
            "payload": [
                {
                    "listened_at": NOW,
                    "track_metadata": {
                        "artist_name": "Stereolab",
                        "release_name": "Transient Random-Noise Bursts",
                        "track_name": "Jenny Ondioline",
                        "additional_info": {
                            "duration_ms": 1088000,
                            "submission_client": "Pano Scrobbler",
                            "submission_client_version": "4.10",
                        },
                    },
                }
            ],
        },
    ),
    "web-scrobbler": (
        "/1/submit-listens",
        {"content-type": "application/json; charset=UTF-8", "authorization": "Token ada-token"},
        {
            "listen_type": "single",
            "payload": [
                {
                    "listened_at": NOW,
                    "track_metadata": {
                        "artist_name": "Stereolab",
                        "track_name": "Jenny Ondioline",
                        "additional_info": {
                            "submission_client": "Web Scrobbler",
                            "submission_client_version": "v3.9.0",
                            "music_service_name": "Spotify",
                            "origin_url": "https://open.spotify.com/track/0Tdd6GZ5ZBcLtJKgLdEqUW",
                            "release_artist_name": "Stereolab",
                            "spotify_id": "https://open.spotify.com/track/0Tdd6GZ5ZBcLtJKgLdEqUW",
                            "duration": 1088,
                        },
                    },
                }
            ],
        },
    ),
}


def played(world: World) -> list[Play]:
    """Return what reached the log."""
    return [
        play
        for record in world.log.records
        for play in msgspec.json.decode(record.value, type=Submission).plays
    ]


@pytest.mark.parametrize("player", LISTENS)
async def test_a_finished_track(world: World, client: httpx.AsyncClient, player: str) -> None:
    path, headers, body = LISTENS[player]
    answer = await client.post(path, headers=headers, json=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    (play,) = played(world)
    assert (play.artist, play.title, play.played_at) == (
        "Stereolab",
        "Jenny Ondioline",
        NOW * 1000,
    )
    assert play.duration_ms == 1088000
    sent = body["payload"][0]["track_metadata"]["additional_info"]
    assert play.extra == {
        name: [each for each in value if each] if isinstance(value, list) else value
        for name, value in sent.items()
    }


async def test_web_scrobbler_makes_up_for_what_it_could_not_send(
    world: World, client: httpx.AsyncClient
) -> None:
    """Up to fifty tracks that ended while the server was away, as one import."""
    path, headers, body = LISTENS["web-scrobbler"]
    (one,) = body["payload"]
    missed = [{**one, "listened_at": NOW - 2000 * n} for n in range(50)]
    answer = await client.post(
        path, headers=headers, json={"listen_type": "import", "payload": missed}
    )
    assert answer.json() == {"status": "ok"}
    assert len({play.event_id for play in played(world)}) == 50


@pytest.mark.parametrize("player", LISTENS)
async def test_a_current_track_that_cannot_be_kept(client: httpx.AsyncClient, player: str) -> None:
    """Redis is away. Navidrome looks at the code in the body, the others at the status."""
    path, headers, body = LISTENS[player]
    playing = [{"track_metadata": body["payload"][0]["track_metadata"]}]
    answer = await client.post(
        f"{path}?return_msid=true",
        headers=headers,
        json={"listen_type": "playing_now", "payload": playing},
    )
    assert (answer.status_code, answer.json()) == (
        503,
        {"code": 503, "error": "Cannot record playing_now at this time."},
    )


async def test_navidrome_checks_its_token(client: httpx.AsyncClient) -> None:
    headers = {"authorization": "Token ada-token"}
    answer = (await client.get("/1/validate-token", headers=headers)).json()
    assert (answer["code"], answer["valid"], answer["user_name"]) == (200, True, "ada")


async def test_navidrome_wants_json_for_every_refusal(client: httpx.AsyncClient) -> None:
    path, _, body = LISTENS["navidrome"]
    answer = await client.post(path, headers={"authorization": "Token wrong"}, json=body)
    assert (answer.json()["code"], answer.status_code) == (401, 401)


def mpdscribble(number: int, values: dict[str, str], loved: bool = False) -> str:
    """Return the fields of one track as mpdscribble orders them; a second ``r`` means love."""
    fields = [f"{name}[{number}]={quote(values[name], safe='')}" for name in "atliorbnm"]
    return "&".join([*fields, f"r[{number}]=L"] if loved else fields)


def vlc(number: int, values: dict[str, str]) -> str:
    """Return the fields of one track as VLC orders them, with its brackets percent-encoded."""
    return "&".join(f"{n}%5B{number}%5D={quote(values[n], safe='')}" for n in "atiorlbnm")


VALUES = {
    "a": "Neu!", "t": "Hallogallo", "i": str(NOW), "o": "P", "r": "", "l": "610",
    "b": "Neu! & more", "n": "1", "m": "",
}  # fmt: skip
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("fields", [mpdscribble, vlc])
@pytest.mark.parametrize("number", [0, 2])
async def test_audioscrobbler_players(
    world: World, client: httpx.AsyncClient, fields: Callable[..., str], number: int
) -> None:
    """Of several tracks VLC sends the last alone, under its number."""
    body = f"s=ada-token&{fields(number, VALUES)}"
    answer = await client.post("/audioscrobbler/protocol_1.2", headers=FORM, content=body.encode())
    assert answer.text == "OK\n"
    (play,) = played(world)
    assert (play.artist, play.title, play.album) == ("Neu!", "Hallogallo", "Neu! & more")
    assert (play.played_at, play.duration_ms) == (NOW * 1000, 610_000)


async def test_mpdscribble_tells_of_love(world: World, client: httpx.AsyncClient) -> None:
    other = {**VALUES, "t": "Negativland", "i": str(NOW - 600)}
    refused = {**VALUES, "t": "Im Glück", "i": "0"}
    tracks = (mpdscribble(0, VALUES, loved=True), mpdscribble(1, other))
    body = "&".join(["s=ada-token", *tracks, mpdscribble(2, refused, loved=True)])
    answer = await client.post("/audioscrobbler/protocol_1.2", headers=FORM, content=body.encode())
    assert answer.text == "OK\n"
    plays, letter, love = world.log.records
    assert len(msgspec.json.decode(plays.value, type=Submission).plays) == 2
    assert letter.topic == "segue.dead-letters"
    said = msgspec.json.decode(love.value, type=Feedback)
    assert (love.topic, love.partition) == ("segue.feedback", plays.partition)
    assert (said.user_id, said.kind, said.title) == ("ada", "love", "Hallogallo")


async def test_all_that_an_audioscrobbler_player_hears_ok_for_is_in_the_log(
    world: World, client: httpx.AsyncClient
) -> None:
    """The protocol allows fifty; a player that sends more forgets them all at ``OK``."""
    tracks = [mpdscribble(n, {**VALUES, "i": str(NOW - 600 * n)}) for n in range(60)]
    body = "&".join(["s=ada-token", *tracks])
    answer = await client.post("/audioscrobbler/protocol_1.2", headers=FORM, content=body.encode())
    assert answer.text == "OK\n"
    assert len({play.event_id for play in played(world)}) == 60


async def test_love_that_cannot_be_kept_is_told_again(
    world: World, client: httpx.AsyncClient
) -> None:
    world.log.down = True
    body = f"s=ada-token&{mpdscribble(0, VALUES, loved=True)}"
    answer = await client.post("/audioscrobbler/protocol_1.2", headers=FORM, content=body.encode())
    assert answer.text.startswith("FAILED ")


async def test_an_audioscrobbler_player_logs_in_again_when_told(client: httpx.AsyncClient) -> None:
    body = f"s=gone&a[0]=a&t[0]=b&i[0]={NOW}&o[0]=P&r[0]=&l[0]=610&b[0]=&n[0]=&m[0]="
    answer = await client.post("/audioscrobbler/protocol_1.2", content=body.encode())
    assert answer.text == "BADSESSION\n"


async def test_pages_of_other_origins_may_submit(client: httpx.AsyncClient) -> None:
    """Web Scrobbler and players in pages ask first whether they may."""
    asked = {
        "origin": "https://music.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    allowed = await client.options("/1/submit-listens", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "*"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    path, headers, body = LISTENS["web-scrobbler"]
    answer = await client.post(path, headers={**headers, "origin": asked["origin"]}, json=body)
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["//1/submit-listens", "/1//submit-listens", "/1/submit-listens/"])
async def test_a_base_with_a_slash_at_its_end(
    world: World, client: httpx.AsyncClient, path: str
) -> None:
    """Jellyfin and others join base and endpoint with a slash, even if the base ends in one."""
    _, headers, body = LISTENS["navidrome"]
    answer = await client.post(f"http://segue{path}", headers=headers, json=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert len(played(world)) == 1


@pytest.mark.parametrize("path", ["/1/validate-token/", "//1//validate-token"])
async def test_reading_with_more_slashes_than_needed(client: httpx.AsyncClient, path: str) -> None:
    headers = {"authorization": "Token ada-token"}
    answer = await client.get(f"http://segue{path}", headers=headers)
    assert answer.json()["valid"] is True


async def test_quod_libet_says_hello_behind_two_slashes(client: httpx.AsyncClient) -> None:
    """It appends ``/?hs=true`` to an address that ends in a slash."""
    answer = await client.get("http://segue//?hs=true&p=1.2&c=qlb&v=4.5&u=ada&t=1&a=0")
    assert (answer.status_code, answer.text) == (200, "BADTIME\n")
    lastfm = await client.post("http://segue//2.0//", data={"method": "no.such", "format": "json"})
    assert lastfm.json()["error"] == 3


async def test_own_addresses_stay_exact(client: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer ada-token"}
    answer = await client.get("http://segue//v1/users/ada/recommendations", headers=headers)
    assert answer.status_code == 404


async def test_pages_may_call_lastfm_with_a_header_of_their_own(client: httpx.AsyncClient) -> None:
    asked = {"origin": "https://music.example", "access-control-request-method": "POST"}
    allowed = await client.options("/2.0/", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "*"


async def test_a_name_in_another_unicode_form_is_the_same_listener(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS and some file systems write an accent as a character of its own."""
    composed, apart = "Ren\u00e9", "Rene\u0301"
    monkeypatch.setitem(TOKENS, "rene-token", Identity(composed, frozenset({"listener"})))
    headers = {"authorization": "Token rene-token"}
    for path in (
        f"/1/user/{quote(apart)}/listen-count",
        f"/v1/users/{quote(apart)}/recommendations",
        f"/v1/users/{quote(apart)}/stats?from=2024-01-01&to=2024-01-31",
        f"/1/latest-import?user_name={quote(apart)}",
    ):
        answer = await client.get(path, headers=headers)
        assert answer.status_code != 403, path
    given = {"kind": "love", "artist": "A", "title": "T", "user": apart}
    loved = await client.post("/v1/feedback", headers=headers, json=given)
    assert loved.status_code == 202
