"""Compiles the model's numerical kernels before anybody needs them: ``python -m
infra.stack.kernels``.

Numba compiles a function when it is first called and keeps the result beside the source. Learner
and API would each do that on their first play and request, for about a minute of processor time;
done here it is done once after an installation.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

# Not imported to find it: that alone takes seconds.
_PACKAGE = Path(__file__).resolve().parents[2] / "online_model"
_PLAYS = 400
# Several Pythons may share a checkout; numba's files carry the version, too.
_MARK = f"kernels-{sys.implementation.cache_tag}"


def marker() -> Path:
    """Return the file that marks these sources as compiled by these versions."""
    mark = hashlib.sha256(f"{sys.version} {version('numba')} {version('numpy')}".encode())
    for source in sorted(_PACKAGE.rglob("*.py")):
        mark.update(source.read_bytes())
    return _PACKAGE / "__pycache__" / f"{_MARK}-{mark.hexdigest()[:16]}"


def needed() -> bool:
    """Whether something has changed since the last time."""
    return not marker().exists()


def compile_all() -> None:
    """Learn a few plays and ask for every kind of list, in a model that is thrown away."""
    import numpy as np

    from contracts.features import EMPTY
    from contracts.ids import artist_key, id_key, track_key
    from online_model import ModelConfig, ModelDirectory

    with tempfile.TemporaryDirectory() as folder:
        directory = ModelDirectory(Path(folder) / "model")
        model = directory.create(ModelConfig())
        keys = [track_key(f"artist {n % 30}", f"title {n}") for n in range(_PLAYS)]
        for number, key in enumerate(keys):
            artist = artist_key(f"artist {number % 30}")
            model.register_track(key, id_key=id_key(str(key)), artist_key=artist, document=b"{}")
        users = np.arange(_PLAYS, dtype=np.uint64) % np.uint64(7) + np.uint64(1)
        tracks = np.array(keys, dtype=np.uint64)
        seconds = np.arange(_PLAYS, dtype=np.int64) * 200 + 1_700_000_000
        ratios = np.full(_PLAYS, 100, dtype=np.uint8)
        model.learn_plays(users, tracks, seconds, ratios)
        now = int(seconds[-1]) + 300
        for discover in (False, True):
            model.recommend(
                tracks[-20:],
                seconds[-20:],
                ratios[-20:],
                now=now,
                k=20,
                discover=discover,
                explain=True,
            )
        model.recommend(tracks[:0], seconds[:0], ratios[:0], now=now, k=20)
        model.recommend_blobs([EMPTY], now=now, lengths=[20], discover=[False])
        model.similar(keys[0], 20)
        model.trending(now, 20)
        directory.snapshot(model)
        directory.publish(model)
        directory.open_reader()


def main() -> None:
    """Compile what has changed."""
    if needed():
        compile_all()
        done = marker()
        with contextlib.suppress(OSError):  # a read-only installation: numba keeps them elsewhere
            done.parent.mkdir(exist_ok=True)
            for old in done.parent.glob(f"{_MARK}-*"):
                old.unlink(missing_ok=True)
            done.touch()


if __name__ == "__main__":
    main()
