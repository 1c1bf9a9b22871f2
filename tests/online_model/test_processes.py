"""Across processes: the same bytes under every hash seed; readers beside a busy writer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from online_model import ModelDirectory

from .plays import SMALL

ROOT = Path(__file__).resolve().parents[2]

LEARN = """
import hashlib
from online_model import Recommender
from tests.online_model.plays import SMALL, made_up
model = Recommender(SMALL)
model.learn_plays(*made_up(1500))
model.learn_one("ada", "x", x={"artist": "Air", "title": "Sexy Boy"})
digest = hashlib.sha256(b"".join(a.tobytes() for a in model.state)).hexdigest()
print(digest, model.rank("ada", {"x", "y", "z", 1, 2, 3}))
"""

WRITE = """
import sys
from online_model import ModelDirectory
from tests.online_model.plays import SMALL, made_up
directory = ModelDirectory(sys.argv[1])
for round_ in range(3):
    model = directory.resume(SMALL)
    plays = made_up(4000, seed=round_, tracks=400, listeners=80)  # more than there is room for
    plays = plays._replace(seconds=plays.seconds + 10**6 * round_)
    for start in range(0, 4000, 50):
        model.learn_plays(*plays.part(start, start + 50))
        for key in range(1000 + start % 300, 1010 + start % 300):
            model.register_track(key, document=b'{"title":"%d"}' % key)
        if start == 0:
            directory.publish(model)
            print("ready", flush=True)
    directory.snapshot(model)
"""


def _run(code: str, seed: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_hash_seed_changes_nothing() -> None:
    assert _run(LEARN, "1") == _run(LEARN, "4242")


@pytest.mark.slow
def test_readers_survive_a_writer_that_learns_evicts_and_restarts(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "ready"
        directory = ModelDirectory(tmp_path)
        reader = directory.open_reader()
        lists = moved = 0
        while writer.poll() is None:
            moved += directory.refresh(reader)
            now = reader.clock
            for key in range(1000, 1040):
                ranking = reader.recommend(
                    [key, key + 1], [now - 9, now], [255, 9], now=now, artist_cap=3, explore=0.1
                )
                assert all(0 <= row < SMALL.tracks for row in ranking.indices.tolist())
                for row in ranking.indices.tolist():
                    document = reader.document(row)
                    assert document == b"" or document.startswith(b'{"title":"')
                lists += 1
            reader.similar(1001)
            reader.trending(now)
            reader.health()
        assert writer.returncode == 0
    assert lists > 0
    assert moved + directory.refresh(reader) >= 1
