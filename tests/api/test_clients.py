"""Requests in the exact shapes that players send, and the answers these players look for."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from contracts.events import Play, Submission
from tests.api.conftest import World

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
                        "additional_info": {
                            "submission_client": "navidrome",
                            "submission_client_version": "0.58.0",
                            "tracknumber": 7,
                            "artist_names": ["Stereolab"],
                            "artist_mbids": [MBID],
                            "recording_mbid": MBID,
                            "release_mbid": "",
                            "release_group_mbid": "",
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
                            "media_player": "com.spotify.music",
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
                            "music_service_name": "YouTube",
                            "origin_url": "https://youtu.be/abc",
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
    assert play.extra == {
        name: value
        for name, value in body["payload"][0]["track_metadata"]["additional_info"].items()
        if value != ""
    }


async def test_navidrome_checks_its_token(client: httpx.AsyncClient) -> None:
    headers = {"authorization": "Token ada-token"}
    answer = (await client.get("/1/validate-token", headers=headers)).json()
    assert (answer["code"], answer["valid"], answer["user_name"]) == (200, True, "ada")


async def test_navidrome_wants_json_for_every_refusal(client: httpx.AsyncClient) -> None:
    path, _, body = LISTENS["navidrome"]
    answer = await client.post(path, headers={"authorization": "Token wrong"}, json=body)
    assert (answer.json()["code"], answer.status_code) == (401, 401)


@pytest.mark.parametrize("player", ["mpdscribble", "vlc"])
async def test_audioscrobbler_players(world: World, client: httpx.AsyncClient, player: str) -> None:
    """VLC writes its brackets percent-encoded, mpdscribble as they are."""
    names = {
        "a": "Neu!", "t": "Hallogallo", "i": str(NOW), "o": "P", "r": "", "l": "610",
        "b": "Neu! & more", "n": "1", "m": MBID if player == "mpdscribble" else "",
    }  # fmt: skip
    left, right = ("%5B", "%5D") if player == "vlc" else ("[", "]")
    fields = [f"{name}{left}0{right}={quote(value)}" for name, value in names.items()]
    body = "&".join(["s=ada-token", *fields])
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.post(
        "/audioscrobbler/protocol_1.2", headers=headers, content=body.encode()
    )
    assert answer.text == "OK\n"
    (play,) = played(world)
    assert (play.artist, play.title, play.album) == ("Neu!", "Hallogallo", "Neu! & more")
    assert (play.played_at, play.duration_ms) == (NOW * 1000, 610_000)


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
