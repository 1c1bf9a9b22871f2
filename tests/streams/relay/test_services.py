"""What is sent to the services, and what their answers mean, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Play
from streams.relay.lastfm import Lastfm
from streams.relay.listenbrainz import ListenBrainz
from streams.relay.payload import MAX_LISTEN, listen, scrobble
from streams.relay.rules import OLDEST_MS, kept_back
from streams.relay.service import BatchRefused, SecretRefused, TryLater
from tests.scrobble_services import KEY, SHARED_SECRET, ScrobbleServices

NOW_MS = 1_700_000_000_000


def play(title: str = "Venus", **fields: Any) -> Play:
    """Return a play that is relayed, unless the fields say otherwise."""
    given = {
        "event_id": "", "track_id": "", "artist": "Air", "title": title,
        "played_at": NOW_MS - 300_000, "received_at": NOW_MS, "source": "mpd/0.24",
        "duration_ms": 240_000, **fields,
    }  # fmt: skip
    return Play(**given)


@pytest.fixture
def server() -> Iterator[ScrobbleServices]:
    with ScrobbleServices() as running:
        yield running


@pytest.fixture
def listenbrainz(server: ScrobbleServices) -> Iterator[ListenBrainz]:
    made = ListenBrainz(f"{server.listenbrainz}/1/")
    yield made
    made.close()


@pytest.fixture
def lastfm(server: ScrobbleServices) -> Iterator[Lastfm]:
    made = Lastfm(server.lastfm, KEY, SHARED_SECRET)
    yield made
    made.close()


def test_which_plays_are_sent_on() -> None:
    cases: dict[str, Play] = {
        "": play(),
        "before": play(received_at=NOW_MS - 10_000),
        "imported": play(extra={"imported_from": "lastfm"}),
        "relayed": play(source="Segue/0.1.0"),
        "old": play(played_at=NOW_MS - OLDEST_MS - 1000),
        "skipped": play(ms_played=3_000),
    }
    since = NOW_MS - 1000
    for service in ("listenbrainz", "lastfm"):
        assert {why: kept_back(each, service, since) for why, each in cases.items()} == {
            why: why for why in cases
        }
    short = play(duration_ms=20_000)
    assert [kept_back(short, s, since) for s in ("listenbrainz", "lastfm")] == ["", "short"]
    # Half of the track or four minutes, else the client's own flag.
    heard = [(119_000, 240_000, "skipped"), (120_000, 240_000, ""), (240_000, 900_000, "")]
    for ms, length, why in heard:
        assert kept_back(play(ms_played=ms, duration_ms=length), "listenbrainz", since) == why
    assert kept_back(play(skipped=True), "listenbrainz", since) == "skipped"


def test_a_listen_keeps_what_the_player_sent_and_says_who_submits() -> None:
    extra = {
        "recording_mbid": "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae", "duration": 240,
        "spotify_uri": "spotify:track:0Tdd6GZ5ZBcLtJKgLdEqUW", "tags": ["a"],
    }  # fmt: skip
    made = listen(play(extra=extra, album="Moon Safari", ms_played=200_000))
    info = made["track_metadata"].pop("additional_info")
    assert made == {
        "listened_at": NOW_MS // 1000 - 300,
        "track_metadata": {
            "artist_name": "Air", "track_name": "Venus", "release_name": "Moon Safari",
        },
    }  # fmt: skip
    assert info.pop("submission_client_version")
    assert info == {
        "recording_mbid": extra["recording_mbid"], "tags": ["a"], "duration_ms": 240_000,
        "duration_played": 200, "spotify_id": "https://open.spotify.com/track/0Tdd6GZ5ZBcLtJKgLdEqUW",
        "submission_client": "Segue", "original_submission_client": "mpd/0.24",
    }  # fmt: skip
    assert scrobble(play(extra=extra)) == {
        "artist": "Air", "track": "Venus", "timestamp": str(NOW_MS // 1000 - 300),
        "duration": "240", "mbid": extra["recording_mbid"],
    }  # fmt: skip


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=2000), max_size=20))
def test_no_listen_is_too_large(extra: dict[str, str]) -> None:
    one = play(extra=extra)
    assert len(msgspec.json.encode(listen(one))) <= MAX_LISTEN
    assert listen(one) == listen(msgspec.json.decode(msgspec.json.encode(one), type=Play))


def test_listenbrainz_takes_plays(server: ScrobbleServices, listenbrainz: ListenBrainz) -> None:
    assert listenbrainz.account("lb-token") == "ada-at-lb"
    assert listenbrainz.send("lb-token", [play()]).refused == {}
    listenbrainz.send("lb-token", [play("Talisman"), play()])
    assert [body["listen_type"] for body in server.bodies] == ["single", "import"]
    assert [track for _, _, track in server.plays["ada-at-lb"]] == ["Venus", "Talisman"]


def test_lastfm_takes_plays(server: ScrobbleServices, lastfm: Lastfm) -> None:
    assert lastfm.account("lfm-key") == "ada-at-lfm"
    answer = lastfm.send("lfm-key", [play("Björk & <Co>"), play("Ignored"), play()])
    assert list(answer.refused) == [1]
    assert lastfm.send("lfm-key", [play("Talisman")]).refused == {}
    tracks = [track for _, _, track in server.plays["ada-at-lfm"]]
    assert tracks == ["Björk & <Co>", "Venus", "Talisman"]


LATER: list[tuple[str, int, dict[str, str], Any, float | None, bool]] = [
    ("listenbrainz", 429, {"Retry-After": "7"}, {}, 7.0, False),
    ("listenbrainz", 429, {"X-RateLimit-Reset-In": "4"}, {}, 4.0, False),
    ("listenbrainz", 503, {}, b"<html>", None, True),
    ("listenbrainz", 404, {}, b"", None, True),
    ("lastfm", 500, {}, b"", None, True),
    ("lastfm", 200, {}, {"error": 16, "message": "try again"}, None, True),
    ("lastfm", 200, {}, {"error": 29, "message": "rate limit"}, None, False),
    ("lastfm", 200, {}, b"<lfm/>", None, True),
    ("lastfm", 200, {}, {"scrobbles": {"scrobble": []}}, None, True),
    (
        "lastfm", 200, {}, {"scrobbles": {"scrobble": {"ignoredMessage": {"code": "5"}}}},
        3600.0, False,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("service", "status", "headers", "body", "wait", "down"), LATER)
def test_what_passes_is_tried_again(
    server: ScrobbleServices,
    listenbrainz: ListenBrainz,
    lastfm: Lastfm,
    service: str,
    status: int,
    headers: dict[str, str],
    body: Any,
    wait: float | None,
    down: bool,
) -> None:
    server.plan.append((status, headers, body))
    send = {"lastfm": lastfm.send, "listenbrainz": listenbrainz.send}[service]
    with pytest.raises(TryLater) as raised:
        send("lfm-key" if service == "lastfm" else "lb-token", [play()])
    assert (raised.value.seconds, raised.value.service_down) == (wait, down)


def test_nobody_listens_there() -> None:
    nobody = ListenBrainz("http://127.0.0.1:1")
    with pytest.raises(TryLater, match="ConnectError"):
        nobody.send("lb-token", [play()])
    nobody.close()


def test_what_will_never_pass(
    server: ScrobbleServices, listenbrainz: ListenBrainz, lastfm: Lastfm
) -> None:
    unknown = Lastfm(server.lastfm, KEY, "not the secret")
    for call in (
        lambda: listenbrainz.send("wrong", [play()]),
        lambda: listenbrainz.account("wrong"),
        lambda: lastfm.send("wrong", [play()]),
        lambda: lastfm.account("wrong"),
        lambda: unknown.account("lfm-key"),
    ):
        with pytest.raises(SecretRefused):
            call()
    unknown.close()
    with pytest.raises(BatchRefused, match="Poison"):
        listenbrainz.send("lb-token", [play(), play("Poison")])
    server.plan.append((400, {}, {"error": 6, "message": "Invalid parameters"}))
    with pytest.raises(BatchRefused, match="error 6"):
        lastfm.send("lfm-key", [play()])
