"""Imports through the real API: every format, killed and resumed, ten times at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from contracts.errors import ConfigurationError
from infra.operations.imports.rejects import Reject
from infra.operations.imports.rows import Options
from infra.operations.imports.run import ImportReport, Request, run
from infra.operations.interactions import InteractionLog
from infra.operations.replay.post import Posted, expected_ids
from infra.operations.replay.reconcile import mark
from infra.operations.replay.run import count
from infra.stack.process import python, wait_until
from tests.infra.operations.imports.samples import SAMPLES, START, UTC
from tests.integration.conftest import RunningStack
from tests.plays import interactions

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def start(stack: RunningStack, home: Path, file: Path, user: str = "", **more: Any) -> ImportReport:
    """Import a file."""
    options = Options(user=user)
    return run(
        Request(
            file=file, api=stack.api, token=stack.admin_token, home=home, options=options, **more
        )
    )


def history(stack: RunningStack, user: str) -> list[tuple[str, str, int]]:
    """Return ``(artist, title, start in ms)`` of a listener's plays."""
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        return connection.execute(
            "select artist, title, (extract(epoch from played_at) * 1000)::bigint from plays"
            " where user_id = %s",
            (user,),
        ).fetchall()


def test_every_format_arrives(stack: RunningStack, tmp_path: Path) -> None:
    for number, sample in enumerate(SAMPLES):
        file = tmp_path / sample.name
        file.write_bytes(sample.content)
        report = start(stack, tmp_path, file, f"importer-{number}")
        assert report.formats == [sample.format]
        assert report.kept == len(sample.plays)
        assert {**report.dropped, **report.rejected} == sample.refused
        assert report.read == report.kept + sum(sample.refused.values())
        kept_lines = sum(sample.refused.values()) - report.dropped.get("private-session", 0)
        lines = Path(report.rejects_file).read_bytes() if report.rejects_file else b""
        assert lines.count(b"\n") == kept_lines
    stack.wait_applied(workers=("history-sink",))
    for number, sample in enumerate(SAMPLES):
        assert sorted(history(stack, f"importer-{number}")) == sorted(sample.plays), sample.name


def test_rejects_are_mended_and_replayed(stack: RunningStack, tmp_path: Path) -> None:
    """A row nobody could read and one the API refused; repaired, both arrive."""
    file = tmp_path / "mend.csv"
    file.write_text(
        f"artist,title,played_at,user\nAir,One,{UTC},mender\nAir,Two,soon,mender\n"
        "Air,Three,1999-01-01,mender\n"
    )
    report = start(stack, tmp_path, file)
    assert report.kept == 1
    assert report.rejected == {"bad-time": 1, "api-too-old": 1}
    rejects = Path(report.rejects_file or "")
    kept = [msgspec.json.decode(line, type=Reject) for line in rejects.read_bytes().splitlines()]
    assert {(r.file, r.reason) for r in kept} == {
        ("mend.csv", "bad-time"),
        ("mend.csv", "api-too-old"),
    }
    again = start(stack, tmp_path, rejects, format="rejects")
    assert again.rejected == report.rejected
    mended = tmp_path / "mended.jsonl"
    text = rejects.read_text().replace("soon", UTC)
    mended.write_text(text.replace("915148800000", str(START + 1000)))
    report = start(stack, tmp_path, mended)
    assert (report.formats, report.kept, report.rejected) == (["rejects"], 2, {})
    stack.wait_applied(workers=("history-sink",))
    assert {title for _, title, _ in history(stack, "mender")} == {"One", "Two", "Three"}


def test_refusals_for_good_are_told(stack: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("hello world\n")
    with pytest.raises(ConfigurationError, match=r"x\.csv is not an export that Segue can read"):
        start(stack, tmp_path, file)
    file.write_text(f"artist,title,played_at,user\nAir,One,{UTC},bob\n")
    options, token = Options(), stack.token_for("no-client")
    with pytest.raises(ConfigurationError, match="may not post plays for 'bob'"):
        run(Request(file=file, api=stack.api, token=token, home=tmp_path, options=options))


def test_a_killed_import_goes_on_where_it_was(stack: RunningStack, tmp_path: Path) -> None:
    plays, bad = 10_000, 40
    file = tmp_path / "killed.tsv"
    rows = [
        f"killed-{n % 3}\t{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(START / 1000 + n))}"
        f"\t\tArtist {n % 97}\t\tTitle {n % 89}"
        for n in range(plays)
    ]
    step = plays // bad
    rows = [
        row for n, row in enumerate(rows) for row in ([row, "torn"] if n % step == 0 else [row])
    ]
    file.write_text("\n".join(rows) + "\n")
    command = python(
        "infra.cli", "import", str(file), "--api", stack.api,
        "--home", str(tmp_path), "--json",
    )  # fmt: skip
    environ = {**os.environ, "SEGUE_TOKEN": stack.admin_token}
    reached = 0
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:

        def some() -> bool:
            nonlocal reached
            found = [json.loads(p.read_bytes()) for p in tmp_path.glob("imports/*/state.json")]
            reached = found[0]["record"] if found else 0
            return reached > 0 or process.poll() is not None

        assert wait_until(some, 90, every=0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 0 < reached < plays
    report = start(stack, tmp_path, file)
    assert report.resumed_from >= reached
    assert report.kept == plays
    assert report.rejected == {"bad-columns": bad}
    assert Path(report.rejects_file or "").read_bytes().count(b"\n") == bad
    stack.wait_applied(workers=("history-sink",))
    assert sum(len(history(stack, f"killed-{n}")) for n in range(3)) == plays


def test_ten_times_at_once_and_through_two_protocols_is_one_set_of_plays(
    stack: RunningStack, tmp_path: Path
) -> None:
    data = interactions(1000, listeners=1, prefix="ten-")
    (user,) = set(data.users)
    token = stack.token_for(user)
    before = mark(stack.settings)
    listens = [
        {
            "listened_at": second,
            "track_metadata": {"artist_name": artist, "track_name": title},
        }
        for second, artist, title in scrobbles(data)
    ]
    file = tmp_path / "ten.jsonl"
    file.write_bytes(b"\n".join(msgspec.json.encode(listen) for listen in listens))

    def listenbrainz() -> None:
        body = {"listen_type": "import", "payload": listens}
        answer = httpx.post(
            f"{stack.api}/1/submit-listens",
            json=body,
            headers={"authorization": f"Token {token}"},
            timeout=60,
        )
        assert answer.json() == {"status": "ok"}

    def lastfm() -> None:
        with httpx.Client(base_url=stack.api, timeout=60) as client:
            for at in range(0, len(data), 50):
                form = {"method": "track.scrobble", "sk": token, "format": "json"}
                for n, (second, artist, title) in enumerate(scrobbles(data)[at : at + 50]):
                    form |= {
                        f"artist[{n}]": artist, f"track[{n}]": title, f"timestamp[{n}]": str(second)
                    }  # fmt: skip
                answer = client.post("/2.0/", data=form).json()
                assert answer["scrobbles"]["@attr"] == {"accepted": 50, "ignored": 0}

    def importer() -> None:
        assert start(stack, tmp_path, file, user).kept == 1000

    ways: list[Callable[[], None]] = [listenbrainz] * 4 + [lastfm] * 3 + [importer] * 3
    with ThreadPoolExecutor(10) as pool:
        for done in [pool.submit(way) for way in ways]:
            done.result()
    outcome = count(
        stack.settings,
        data,
        "ten",
        Posted(accepted=expected_ids(data, "ten")),
        before,
        warehouse=True,
    )
    assert outcome.differences == []
    assert outcome.kafka.deliveries == 10 * len(data)
    assert outcome.warehouse is not None
    assert outcome.warehouse.distinct == outcome.distinct == len(set(scrobbles(data)))
    assert len(history(stack, user)) == outcome.distinct


def scrobbles(data: InteractionLog) -> list[tuple[int, str, str]]:
    """Return ``(second, artist, title)`` of each play."""
    rows = enumerate(data.iter_rows())
    return [(second, *data.name(row, "ten")) for row, (_, _, second) in rows]
