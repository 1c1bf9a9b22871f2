"""Plays as real clients send them: wrong units, no names, names that no address can carry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.auth import Identity
from api.errors import ApiError
from api.lastfm.plays import _play
from api.listenbrainz.mapping import duration_seconds, play_of
from api.listenbrainz.validate import validate
from api.plays.parse import Parsed, parse_plays
from contracts.errors import InvalidEvent
from contracts.listeners import check_new_listener, check_user, listener_name

NOW = 1_790_000_000_000
PLAYER = Identity("player", frozenset({"client"}))


def parse(**fields: Any) -> Parsed:
    play = {"artist": "Mira", "title": "Tide", "played_at": NOW - 10**9, **fields}
    return parse_plays(json.dumps({"plays": [play]}).encode(), PLAYER, NOW)


def lengths(**fields: Any) -> tuple[int | None, int | None]:
    ((play,),) = parse(**fields).by_listener.values()
    return play.ms_played, play.duration_ms


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"duration_ms": 200}, (None, 200_000)),
        ({"duration_ms": 168_000_000}, (None, 168_000)),
        ({"duration_ms": 200, "ms_played": 150}, (150_000, 200_000)),
        ({"duration_ms": 200_000, "ms_played": 150}, (150, 200_000)),
        ({"duration_ms": 3}, (None, None)),
        ({"duration_ms": 0, "ms_played": 0}, (0, None)),
        ({"ms_played": 86_400_000}, (None, None)),
    ],
)
def test_lengths_of_v1(fields: dict[str, Any], right: tuple[int | None, int | None]) -> None:
    assert lengths(**fields) == right


def listen(**info: Any) -> dict[str, Any]:
    metadata = {"artist_name": "Mira", "track_name": "Tide", "additional_info": info}
    return {"listened_at": 1_700_000_000, "track_metadata": metadata}


@pytest.mark.parametrize(
    ("info", "right"),
    [
        ({"duration_ms": 168}, 168_000),
        ({"duration": 168_000}, 168_000),
        ({"duration": 168}, 168_000),
        ({"duration_ms": 168_000}, 168_000),
    ],
)
def test_lengths_of_listens(info: dict[str, Any], right: int) -> None:
    assert play_of(listen(**info), "ada", NOW).duration_ms == right
    assert duration_seconds(listen(**info)["track_metadata"]) == right / 1000


@pytest.mark.parametrize("duration", ["200", "200000"])
def test_lengths_of_scrobbles(duration: str) -> None:
    scrobble = {"artist": "Mira", "track": "Tide", "timestamp": "1700000000", "duration": duration}
    assert _play(scrobble, "ada", NOW).duration_ms == 200_000


INVISIBLE = ["\u200b", "\u200b\u200d", "\u2800", "\u3164", "\ufe0f", "\u2060\u2060"]


@pytest.mark.parametrize("name", INVISIBLE)
def test_a_name_that_shows_nothing_is_none(name: str) -> None:
    for field in ("artist", "title"):
        ((reason, _, _),) = parse(**{field: name}).refused
        assert reason == "bad-text"
    for field in ("artist_name", "track_name"):
        body = {"listen_type": "single", "payload": [listen()]}
        body["payload"][0]["track_metadata"][field] = name  # type: ignore[index]
        with pytest.raises(ApiError, match="invisible"):
            validate(json.dumps(body).encode(), NOW / 1000)


@pytest.mark.parametrize("name", ["!!!", "\u2764\ufe0f", "\u05d0", "A\u200bB", "\u266b"])
def test_a_name_of_signs_alone_is_one(name: str) -> None:
    assert not parse(artist=name, title=name).refused


@pytest.mark.parametrize("info", [[], "", None, False])
def test_an_empty_additional_info_of_any_kind(info: Any) -> None:
    body = {"listen_type": "single", "payload": [listen()]}
    body["payload"][0]["track_metadata"]["additional_info"] = info  # type: ignore[index]
    validate(json.dumps(body).encode(), NOW / 1000)


def test_a_name_that_no_address_can_carry_is_refused_at_creation() -> None:
    for user in ("Rock/Roll", "a\\b", "..", "."):
        ((reason, message, _),) = parse(user=user).refused
        assert (reason, "slash" in message) == ("bad-text", True)
        check_user(user)  # one that is there may still leave
        with pytest.raises(InvalidEvent):
            check_new_listener(user)
    own = Identity("Rock/Roll", frozenset({"listener"}))
    body = {"plays": [{"artist": "Mira", "title": "Tide", "played_at": NOW - 10**9}]}
    assert not parse_plays(json.dumps(body).encode(), own, NOW).refused


def test_names_that_look_equal_are_one_listener() -> None:
    assert listener_name("Rene\u0301") == "Ren\u00e9"
    (user,) = parse(user="Rene\u0301").by_listener
    assert user == "Ren\u00e9"
