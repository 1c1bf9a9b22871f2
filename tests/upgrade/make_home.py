"""Writes ``home.tar.xz``, data of an earlier version, with the code of that version.

It ran in a folder that held commit 84012d3, before messages, model and home got their present
form::

    git archive 84012d3 | tar -x -C OLD
    cd OLD && PYTHONPATH=OLD python TESTS/upgrade/make_home.py TESTS/upgrade/home.tar.xz

Its imports are those of that version.
"""

# mypy: ignore-errors

from __future__ import annotations

import base64
import json
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from batch.runs import Run, Runs, Step
from contracts import batch_view, impressions
from contracts.erasures import Erasure, listener_key
from contracts.erasures import encode as encode_erasure
from contracts.events import DeadLetter, Feedback, Play, Submission, encode
from contracts.features import EMPTY, pack_play
from contracts.ids import event_id, partition_of, track_id, track_key, user_key
from online_model import ModelConfig, ModelDirectory
from streams import decode
from streams.lake_sink import LakeSink

LOG, PARTITIONS, START = "log-of-an-earlier-version", 2, 1_700_000_000
SHOWN = "00000000-0000-4000-8000-000000000001"


def play(user: str, second: int, title: str, **changes: object) -> Play:
    """Return a play by Air, most fields set."""
    at = (START + second) * 1000
    fields = {
        "event_id": event_id(user, at, "Air", title), "track_id": track_id("Air", title),
        "artist": "Air", "title": title, "played_at": at, "received_at": at + 500,
        "source": "navidrome/0.53", "album": "Moon Safari", "ms_played": 60_000,
        "duration_ms": 240_000, "skipped": False, "extra": {"tracknumber": 1},
    }  # fmt: skip
    return Play(**{**fields, **changes})


def messages() -> dict[str, list[tuple[int, bytes]]]:
    """Return ``kind -> (partition, message)``, as the producers of that version wrote them."""
    numbers = impressions.pack(
        np.array([1.5, 0.5], np.float32), np.array([1.0, 0.25], np.float32),
        np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
    )  # fmt: skip
    found: dict[str, list[tuple[int, bytes]]] = {"plays": [], "feedback": [], "impressions": []}
    for user in ("ada", "bob"):
        plays = [play(user, 300 * i, f"Song {i}") for i in range(3)]
        bare = play(user, 1200, "Bare", album=None, ms_played=None, duration_ms=None,
                    skipped=None, extra=None)  # fmt: skip
        liked = Feedback(
            user_id=user, kind="love", at=START * 1000, source="t", artist="Air", title="Song 1"
        )
        shown = impressions.Impression(
            impression_id=SHOWN, user_id=user, at=START * 1000, generation=1, offset=7,
            tracks=[track_id("Air", "Song 1"), track_id("Air", "Song 2")], numbers=numbers,
        )  # fmt: skip
        home = partition_of(user, PARTITIONS)
        found["plays"] += [
            (home, encode(Submission(user_id=user, plays=plays))),
            (home, encode(Submission(user_id=user, plays=[bare]))),
        ]
        found["feedback"].append((home, encode(liked)))
        found["impressions"].append((home, impressions.encode(shown)))
    letter = DeadLetter(
        topic="segue.plays", partition=0, offset=3, key=b"ada", value=b"{", reason="bad-json",
        detail="not JSON", stage="listeners", at=START * 1000,
    )  # fmt: skip
    found["dead_letters"] = [(0, encode(letter))]
    gone = Erasure(listener=listener_key("eve"), before=START * 1000)
    found["erasures"] = [(0, encode_erasure(gone))]
    return found


def land(home: Path, found: dict[str, list[tuple[int, bytes]]]) -> None:
    """Write the lake as its sink did."""
    decoders = {
        "plays": decode.decode_plays,
        "feedback": decode.decode_feedback,
        "impressions": decode.decode_impressions,
    }
    for table, decoder in decoders.items():
        batches = []
        for partition in range(PARTITIONS):
            values = [value for at, value in found[table] if at == partition]
            records = [decode.Record(i, value) for i, value in enumerate(values)]
            batch = decoder(records, partition=partition, partitions=PARTITIONS, start=0)
            assert not batch.rejected
            batches.append(batch)
        LakeSink(home / "lake" / table, LOG, PARTITIONS).write(batches)


def learn(home: Path) -> None:
    """Write a model with a snapshot, and a generation of the nightly table."""
    directory = ModelDirectory(home / "model")
    model = directory.create(ModelConfig(tracks=64, listeners=16, sessions=64, document_bytes=64))
    for i in range(40):
        model.learn_one("ada", f"t{i % 7}")
    directory.snapshot(model)
    directory.close()
    manifest = batch_view.Manifest(
        generation=3, algorithm="ease", trained_at="2025-11-26", lake_version=0, plays_until=START,
        listeners=2, tracks=2, metrics={"new.hr@10": 0.25},
    )  # fmt: skip
    view = batch_view.BatchView(
        np.array([track_key("Air", "Song 1"), track_key("Air", "Song 2")], np.uint64),
        np.array([[1], [0]], np.int32), np.array([[0.5], [0.5]], np.float32), manifest,
    )  # fmt: skip
    batch_view.write(home / "batch_view", view)
    batch_view.promote(home / "batch_view", 3)


def main() -> None:
    """Write everything and pack it."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        home.mkdir()
        found = messages()
        land(home, found)
        learn(home)
        step = Step(name="land", status="ok", rows={"plays": 8})
        run = Run(
            id="2025-11-26-duckdb-1", date="2025-11-26", target="duckdb", status="ok",
            started_at="2025-11-26T02:00:00+00:00", steps=[step], lake_versions={"plays": 0},
        )  # fmt: skip
        Runs(home / "runs").save(run)
        (home / "messages.json").write_text(json.dumps(
            {kind: [[p, value.decode()] for p, value in each] for kind, each in found.items()}
        ))  # fmt: skip
        blob = EMPTY + b"".join(
            pack_play(START + 300 * i, track_key("Air", f"Song {i}"), 25, 0) for i in range(3)
        )
        stored = {"blob": base64.b64encode(blob).decode(), "user_key": user_key("ada")}
        (home / "features.json").write_text(json.dumps(stored))
        with tarfile.open(sys.argv[1], "w:xz") as archive:
            archive.add(home, "home", filter=_of_nobody)


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made a file, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
