"""Last.fm over a real socket: faults, drift, shifting pages, and SIGKILL at random points."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batch.collectors.archive import Archive, days, read
from batch.collectors.cache import Cache
from batch.collectors.checkpoints import Checkpoints
from batch.collectors.errors import ShapeBroken, SourceRefused
from batch.collectors.fetcher import Fetcher
from batch.collectors.lastfm.plays import read_row
from batch.collectors.lastfm.questions import about_artists, about_tags, about_tracks, charts
from batch.collectors.lastfm.source import KEY, source
from batch.collectors.lookups import look_up
from contracts.errors import ConfigurationError
from tests.batch.collectors.lastfm_server import LastFm, history
from tests.batch.collectors.misbehaving import CERTAIN, Misbehaving, Reply
from tests.batch.collectors.walk_once import quick_source, walk_once

ROOT = Path(__file__).resolve().parents[3]


async def test_every_play_is_fetched_once_from_a_server_that_fails_a_third(tmp_path: Path) -> None:
    late = [(1_700_000_050, "Late", f"{n}") for n in range(3)]

    def between(service: LastFm) -> None:
        if late and len(service.posted) > 0:
            service.plays.append((int(time.time()) + 3600, "Future", str(len(late))))
            if len(service.plays) % 3 == 0:
                service.plays.append((service.plays[-2][0] - 100_000, "Late", late.pop()[2]))

    service = LastFm(history(3000), between)
    expected = service.expected("ada")
    with Misbehaving(service, share=0.33, seed=5, faults=CERTAIN) as server:
        walk, tally = await walk_once(server.url, tmp_path)
    assert walk.finished
    assert expected <= set(service.posted)
    assert len(service.posted) == len(set(service.posted))
    assert tally.failure_rate == 0
    assert sum(tally.retries.values()) == sum(server.injected.values()) > 0
    assert tally.attempts == len(server.requests)
    assert tally.drift == {}


async def test_a_second_run_fetches_only_what_is_new(tmp_path: Path) -> None:
    plays = history(450)
    service = LastFm(plays[:300])
    with Misbehaving(service) as server:
        await walk_once(server.url, tmp_path)
        service.plays = list(plays)
        before = len(server.requests)
        walk, _ = await walk_once(server.url, tmp_path)
        assert len(server.requests) - before <= 2
        assert walk.since == plays[299][0]
        await walk_once(server.url, tmp_path, since=0)
    assert sorted(service.posted[:450]) == sorted(service.expected("ada"))
    assert len(service.posted) == 900  # --since reads again, on purpose
    assert len(set(service.posted)) == 450


async def test_since_reads_again_and_passes_over_nothing(tmp_path: Path) -> None:
    plays = history(60)
    service = LastFm(plays[:30])
    with Misbehaving(service) as server:
        await walk_once(server.url, tmp_path)
        service.plays = list(plays)
        await walk_once(server.url, tmp_path, since=plays[50][0])
        assert set(service.posted) == service.expected("ada")
        # Where nothing was played since, the next walk does not begin in the beginning.
        later = plays[-1][0] + 10
        walk, _ = await walk_once(server.url, tmp_path / "new", since=later)
        assert (walk.delivered, walk.newest) == (0, later)


async def test_a_listener_who_was_unknown_is_asked_for_again(tmp_path: Path) -> None:
    service, known = LastFm(history(10)), False

    def answer(path: str, params: dict[str, str], body: bytes, h: dict[str, str]) -> Reply:
        if known or path == "/v1/plays":
            return service(path, params, body, h)
        return 404, {"error": 6, "message": "User not found"}, {}

    with Misbehaving(answer) as server:
        with pytest.raises(SourceRefused, match="ada"):
            await walk_once(server.url, tmp_path)
        known = True
        await walk_once(server.url, tmp_path)
    assert set(service.posted) == service.expected("ada")


def _archived(home: Path) -> list[str]:
    return [r.unit for path in days(home / "lastfm") for _, r in read(path)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_points_and_resumed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    service = LastFm(history(3000, seed))
    command = [sys.executable, "-m", "tests.batch.collectors.walk_once"]
    kills = 0
    with Misbehaving(service, share=0.15, slow=0.6, seed=seed) as server:
        for _ in range(30):
            before = len(server.requests)
            process = subprocess.Popen(
                [*command, server.url, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE
            )
            if kills < 6:
                target = before + rng.randint(1, 5)
                while process.poll() is None and len(server.requests) < target:
                    time.sleep(0.002)
                time.sleep(rng.random() * 0.05)
                process.send_signal(signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, errors.decode()
            kills += 1
        else:
            pytest.fail("the walk never ended")
    assert kills >= 3
    units = _archived(tmp_path)
    assert len(units) == len(set(units))
    # What was archived, read again without the server, is every play exactly once.
    rows = [
        row
        for path in days(tmp_path / "lastfm")
        for _, record in read(path)
        for row in msgspec.json.decode(record.body)["recenttracks"]["track"]
    ]
    assert rows
    assert set(service.posted) == service.expected("ada")
    # A kill between the platform's answer and the checkpoint sends one page again, no more.
    assert len(service.posted) - len(set(service.posted)) <= 200 * kills


async def test_drift_is_reported_and_the_plays_still_arrive(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        tracks = document["recenttracks"]["track"]
        for track in tracks:
            track["mood"] = "new field"
            track["artist"]["mbid"] = None
            track["streamable"] = 0.5
            track["loved"] = ["?"]
        document["recenttracks"]["cursor"] = "x"

    service = LastFm(history(10), change=change)
    with Misbehaving(service) as server:
        _, tally = await walk_once(server.url, tmp_path)
    assert set(service.posted) == service.expected("ada")
    assert tally.drift == {
        "RecentTracksAnswer.recenttracks.cursor unknown": 1,
        "RecentTracksAnswer.recenttracks.track[].mood unknown": 11,
    }


async def test_a_field_that_is_gone_stops_the_walk_before_its_checkpoint(tmp_path: Path) -> None:
    broken = True

    def change(document: dict[str, Any]) -> None:
        if broken:
            for track in document["recenttracks"]["track"]:
                track["title"] = track.pop("name")

    service = LastFm(history(10), change=change)
    with Misbehaving(service) as server:
        with pytest.raises(ShapeBroken, match="name"):
            await walk_once(server.url, tmp_path)
        assert service.posted == []
        assert len(_archived(tmp_path)) == 1
        broken = False
        await walk_once(server.url, tmp_path)
    assert set(service.posted) == service.expected("ada")


async def test_refusals_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY.variable, raising=False)
    with pytest.raises(ConfigurationError, match=r"SEGUE_LASTFM_API_KEY.*last\.fm/api/account"):
        source(tmp_path)
    monkeypatch.setenv(KEY.variable, "wrong")
    with Misbehaving(LastFm([])) as server, Archive(tmp_path / "x") as archive:
        archive.begin("r")
        async with Fetcher(source(tmp_path, server.url), archive) as fetcher:
            with pytest.raises(SourceRefused, match=r"error 10.*SEGUE_LASTFM_API_KEY"):
                await fetcher.get("q", "/2.0/", {"method": "chart.getTopTags"})
    with Misbehaving(LastFm([])) as server, pytest.raises(SourceRefused, match="nobody"):
        await walk_once(server.url, tmp_path, user="nobody")


async def test_lookups_ask_each_question_once_and_resume(tmp_path: Path) -> None:
    questions = [
        *about_artists(["Massive Attack", "Unknown", "Sigur Rós / AC/DC"]),
        *about_tracks([("Air", "All I Need"), ("Air", "Talisman")]),
        *about_tags(["trip-hop", "90s"]),
        *charts(2),
    ]
    cache = Cache(tmp_path)
    with Misbehaving(LastFm([]), share=0.3, faults=CERTAIN) as server:
        for part in (questions[:5], questions):
            with Archive(tmp_path / "lastfm") as archive:
                async with Fetcher(quick_source(server.url), archive, cache=cache) as fetcher:
                    store = Checkpoints(tmp_path)
                    run = await look_up(fetcher, store, "lookups", part)
                    run.finished = False  # as if it had been interrupted here
                    store.save("lookups", run)
                    tally = fetcher.tally
        answered = server.answered
    assert tally.resumed == 5
    assert tally.drift == {}
    assert answered - server.injected.get("truncated", 0) == len(questions)
    kept = [r for path in days(tmp_path / "lastfm") for _, r in read(path)]
    assert sorted(r.unit.split("/", 1)[1] for r in kept) == sorted(q.what for q in questions)
    assert sum(r.status == 404 for r in kept) == 1
    cache.close()


def test_the_track_playing_now_is_no_play() -> None:
    from batch.collectors.lastfm.contract import Named, NowPlaying, PlayRow

    assert read_row(PlayRow("x", Named("a"), attr=NowPlaying("true"))) is None
