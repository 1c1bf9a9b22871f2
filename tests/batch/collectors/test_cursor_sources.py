"""Spotify and ListenBrainz over a real socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batch.collectors.archive import Archive
from batch.collectors.checkpoints import Checkpoints
from batch.collectors.cursor import Cursor, follow
from batch.collectors.errors import ShapeBroken, SourceRefused
from batch.collectors.fetcher import Fetcher
from batch.collectors.listenbrainz import plays as lb
from batch.collectors.listenbrainz.contract import ListensAnswer
from batch.collectors.lookups import look_up
from batch.collectors.policy import Policy
from batch.collectors.source import Source
from batch.collectors.spotify import plays as spotify
from batch.collectors.spotify.contract import RecentlyPlayed
from batch.collectors.spotify.source import about, app_source, user_source
from batch.collectors.spotify.withdrawn import check
from batch.collectors.tally import Tally
from contracts.errors import ConfigurationError
from contracts.posted import PostedPlay
from tests.batch.collectors.misbehaving import Handler, Misbehaving, Reply

QUICK = Policy(rate=1000.0, timeout=30.0, first_wait=0.001, longest_wait=0.01, breaker_after=50)
START = 1_700_000_000
ID = "5SuOikwiRyPMVoIQDJUgSV"


class ListenBrainz:
    """The service: listens after ``min_ts`` (exclusive), the oldest of them, newest first."""

    def __init__(self, seconds: list[int]) -> None:
        self.listens = [
            {
                "listened_at": second,
                "track_metadata": {
                    "artist_name": "Air",
                    "track_name": f"#{n}",
                    "additional_info": {"duration_ms": 1000, "isrc": "FRZ039800212"},
                },
            }
            for n, second in enumerate(seconds)
        ]

    def __call__(self, path: str, params: dict[str, str], body: bytes, h: dict[str, str]) -> Reply:
        if path != "/1/user/ada%20b/listens" and path != "/1/user/ada b/listens":
            return 404, {"code": 404, "error": "Cannot find user"}, {}
        after = int(params["min_ts"])
        later = sorted(
            (item for item in self.listens if item["listened_at"] > after),  # type: ignore[operator]
            key=lambda item: item["listened_at"],  # type: ignore[arg-type, return-value]
        )
        page = later[: int(params["count"])][::-1]
        return 200, {"payload": {"count": len(page), "listens": page, "user_id": "ada b"}}, {}


async def listens(
    url: str, home: Path, sink: list[PostedPlay], user: str = "ada b"
) -> tuple[Cursor, Tally]:
    async def deliver(plays: list[PostedPlay]) -> None:
        sink.extend(plays)

    with Archive(home / "listenbrainz") as archive:
        async with Fetcher(lb.source(home, url, QUICK), archive) as fetcher:
            cursor = await follow(
                fetcher, Checkpoints(home), user, lb.path(user), lb.params, ListensAnswer,
                lb.read_page, deliver,
            )  # fmt: skip
            return cursor, fetcher.tally


async def test_every_listen_arrives_once_in_order_from_a_failing_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lb, "LIMIT", 7)
    service = ListenBrainz([START + n // 3 * 10 for n in range(100)])  # three share a second
    sink: list[PostedPlay] = []
    with Misbehaving(service, share=0.3, slow=0.7) as server:
        _, tally = await listens(server.url, tmp_path, sink)
        assert [play.title for play in sink] == sorted(
            (play.title for play in sink), key=lambda title: int(title[1:])
        )
        assert len(sink) == 100
        service.listens += ListenBrainz([START + 5000]).listens
        await listens(server.url, tmp_path, sink)
    assert len(sink) == 101
    assert sink[0].played_at == START * 1000
    assert sink[0].isrc == "FRZ039800212"
    assert (tally.failure_rate, tally.drift) == (0.0, {})


async def test_a_user_who_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with Misbehaving(ListenBrainz([])) as server, pytest.raises(SourceRefused, match="nobody"):
        await listens(server.url, tmp_path, [], "nobody")


def test_what_a_player_got_wrong_does_not_cost_the_listen() -> None:
    info = {
        "ms_played": -5, "duration_played": "61", "duration": 200, "skipped": True, "isrc": 7,
        "spotify_id": "s" * 300, "recording_mbid": "\0", "reason_end": ["?"],
    }  # fmt: skip
    metadata = {
        "artist_name": "Air", "track_name": "Run", "release_name": "x" * 1001,
        "additional_info": info,
    }  # fmt: skip
    listen = {"listened_at": START, "track_metadata": metadata}
    answer = msgspec.convert({"payload": {"listens": [listen]}}, ListensAnswer)
    assert lb.read_page(answer, 0).rows == [
        PostedPlay(
            artist="Air", title="Run", played_at=START * 1000, source="listenbrainz/1",
            ms_played=61_000, duration_ms=200_000, skipped=True,
        )
    ]  # fmt: skip


def track(n: int) -> dict[str, Any]:
    artist = {"id": ID, "name": "Air"}
    album = {"id": ID, "name": "Moon Safari", "release_date": "1998"}
    return {
        "id": ID,
        "name": f"#{n}",
        "artists": [artist],
        "album": album,
        "duration_ms": 298000,
        "external_ids": {"isrc": "FRZ039800212"},
    }


class Spotify:
    """The service: 50 plays at most, regardless of the request."""

    def __init__(self, count: int) -> None:
        self.plays = [
            {
                "track": track(n),
                "played_at": datetime.fromtimestamp(START + n, UTC)
                .isoformat()
                .replace("+00:00", ".123Z"),
            }
            for n in range(count)
        ]

    def __call__(self, path: str, params: dict[str, str], body: bytes, h: dict[str, str]) -> Reply:
        if path == "/api/token":
            expected = "Basic " + base64.b64encode(b"id:secret").decode()
            good = h["authorization"] == expected and body == b"grant_type=client_credentials"
            return (200, {"access_token": "t1"}, {}) if good else (400, {"error": "invalid"}, {})
        if h.get("authorization") != "Bearer t1":
            return 401, {"error": {"status": 401, "message": "The access token expired"}}, {}
        if path == spotify.PATH:
            after = int(params.get("after", 0))
            items = [
                p for p in self.plays
                if datetime.fromisoformat(p["played_at"]).timestamp() * 1000 > after + 1  # type: ignore[arg-type]
            ][-50:][::-1]  # fmt: skip
            return 200, {"items": items, "limit": 50, "cursors": None}, {}
        kind = path.split("/")[2]
        return 200, track(1) if kind == "tracks" else {"id": ID, "name": "Air"}, {}


async def test_recently_played_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_SPOTIFY_USER_TOKEN", "t1")
    service, sink = Spotify(30), []

    async def deliver(plays: list[PostedPlay]) -> None:
        sink.extend(plays)

    async def run(server: Misbehaving, make: Callable[[], Awaitable[Source]]) -> None:
        with Archive(tmp_path / "spotify") as archive:
            async with Fetcher(await make(), archive) as fetcher:
                await follow(
                    fetcher, Checkpoints(tmp_path), "ada", spotify.PATH, spotify.params,
                    RecentlyPlayed, spotify.read_page, deliver,
                )  # fmt: skip

    with Misbehaving(service, share=0.3, slow=0.7) as server:

        async def make() -> Source:
            return user_source(tmp_path, server.url, QUICK)

        await run(server, make)
        service.plays = Spotify(75).plays
        await run(server, make)
        monkeypatch.setenv("SEGUE_SPOTIFY_USER_TOKEN", "old")
        with pytest.raises(SourceRefused, match=r"expired.*SEGUE_SPOTIFY_USER_TOKEN"):
            await run(server, make)
    assert [play.title for play in sink] == [f"#{n}" for n in range(75)]
    assert sink[0].spotify_uri == f"spotify:track:{ID}"


@pytest.mark.parametrize("source", ["listenbrainz", "spotify"])
async def test_drift_is_counted_and_a_field_that_is_gone_stops_before_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("SEGUE_SPOTIFY_USER_TOKEN", "t1")
    listening = source == "listenbrainz"
    service: Handler = ListenBrainz([START, START + 9]) if listening else Spotify(2)
    rows, name = ("listens", "track_metadata") if listening else ("items", "track")
    gone, sink = True, []

    def changed(path: str, params: dict[str, str], body: bytes, h: dict[str, str]) -> Reply:
        status, document, headers = service(path, params, body, h)
        document = json.loads(json.dumps(document))
        found = document["payload"] if listening else document
        found["cursor2"] = "new"
        for row in found[rows]:
            row[name]["mood"] = "new"
            if gone:
                row["renamed"] = row.pop(name)
        return status, document, headers

    async def deliver(plays: list[PostedPlay]) -> None:
        sink.extend(plays)

    async def run(url: str) -> Tally:
        given = lb.source(tmp_path, url, QUICK) if listening else user_source(tmp_path, url, QUICK)
        how: Any = (
            (lb.path("ada b"), lb.params, ListensAnswer, lb.read_page)
            if listening
            else (spotify.PATH, spotify.params, RecentlyPlayed, spotify.read_page)
        )
        with Archive(tmp_path / source) as archive:
            async with Fetcher(given, archive) as fetcher:
                path, params, contract, reader = how
                await follow(
                    fetcher, Checkpoints(tmp_path), "ada b", path, params, contract, reader, deliver
                )
                return fetcher.tally

    with Misbehaving(changed) as server:
        with pytest.raises(ShapeBroken, match=name):
            await run(server.url)
        assert sink == []
        gone = False
        tally = await run(server.url)
    assert [play.title for play in sink] == ["#0", "#1"]
    assert sorted(what.rpartition(".")[2] for what in tally.drift) == [
        "cursor2 unknown", "mood unknown",
    ]  # fmt: skip
    assert sorted(tally.drift.values()) == [1, 2]


async def test_client_credentials_and_single_lookups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)CLIENT_ID.*dashboard.*CLIENT_SECRET"):
        await app_source(tmp_path)
    monkeypatch.setenv("SEGUE_SPOTIFY_CLIENT_ID", "id")
    monkeypatch.setenv("SEGUE_SPOTIFY_CLIENT_SECRET", "secret")
    with Misbehaving(Spotify(0)) as server, Archive(tmp_path / "spotify") as archive:
        source = await app_source(tmp_path, server.url, server.url, QUICK)
        async with Fetcher(source, archive) as fetcher:
            questions = [*about("tracks", [ID]), *about("artists", [ID])]
            await look_up(fetcher, Checkpoints(tmp_path), "lookups", questions)
        asked = sorted(path for path, _ in server.requests)  # they are asked at once
        assert asked == [f"/v1/artists/{ID}", f"/v1/tracks/{ID}"]
        assert fetcher.tally.drift == {}
        monkeypatch.setenv("SEGUE_SPOTIFY_CLIENT_SECRET", "wrong")
        with pytest.raises(SourceRefused, match="CLIENT_SECRET"):
            await app_source(tmp_path, server.url, server.url, QUICK)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/recommendations", "/v1/audio-features/x", "/v1/audio-features", "/v1/tracks",
        "/v1/artists/x/related-artists", "/v1/artists/x/top-tracks", "/v1/browse/new-releases",
    ],
)  # fmt: skip
def test_what_was_withdrawn_is_never_called_and_explained(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"withdrawn.*20(24|26).*use:"):
        check(path)


def test_what_is_served_passes() -> None:
    for path in (f"/v1/tracks/{ID}", f"/v1/artists/{ID}", spotify.PATH):
        check(path)
    with pytest.raises(ConfigurationError, match="audio-features"):
        list(about("audio-features", [ID]))
