"""How good the online model was over time: the file that the learner appends to, read by the API.

The file ``<home>/quality/model.jsonl`` (``quality.jsonl`` beside the model if ``SEGUE_MODEL`` is
set) holds one point a line: the learner's rolling figures at a time (:mod:`online_model.health`).
It names no listener. The file keeps all points of the last two days and one point an hour of the
time before: a year takes about 3 MB.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from contracts.whole_files import write_whole

#: Seconds between two points.
EVERY = 60.0
_RECENT_MS, _HOUR_MS = 2 * 86_400_000, 3_600_000
#: The file is thinned when it has grown by so many bytes: about a day of points.
_GROWTH = 400_000


class QualityPoint(msgspec.Struct, kw_only=True):
    """The model's rolling quality at a time.

    Attributes
    ----------
    at
        Milliseconds since the epoch, UTC.
    generation
        Of the model file.
    plays
        Plays it had learned.
    trials
        Newest plays that the figures rest on.
    all, new, popularity
        Hit rate at 10: of every play, of plays of tracks new to the listener, and what popularity
        alone would have reached on every play.
    all_ndcg, new_ndcg, popularity_ndcg
        NDCG at 10 of the same.
    coverage
        Share of the known tracks that were among the ten best of some trial.
    novelty
        Mean surprise of the ten best, in bits.
    drift
        Whether a change of the hit rate was found within the trials.
    """

    at: int
    generation: int
    plays: int
    trials: int
    all: float
    new: float
    popularity: float
    all_ndcg: float
    new_ndcg: float
    popularity_ndcg: float
    coverage: float
    novelty: float
    drift: bool


_DECODER = msgspec.json.Decoder(QualityPoint)


class QualityHistory:
    """The file of one home.

    Parameters
    ----------
    path
        Of the file; its folder is made when the first point is written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> point = QualityPoint(at=1_700_000_000_000, generation=1, plays=9, trials=8, all=0.3,
    ...     new=0.2, popularity=0.1, all_ndcg=0.3, new_ndcg=0.2, popularity_ndcg=0.1, coverage=0.5,
    ...     novelty=7.0, drift=False)
    >>> with TemporaryDirectory() as folder:
    ...     history = QualityHistory(Path(folder) / "model.jsonl")
    ...     history.add(point)
    ...     [(each.plays, each.all) for each in history.read()]
    [(9, 0.3)]
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thinned = 0

    def add(self, point: QualityPoint) -> None:
        """Append a point, and thin the file when it has grown; raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            # The newline comes first: after a kill in the middle only the torn line is lost.
            file.write(b"\n" + msgspec.json.encode(point))
            size = file.tell()
        if size > self._thinned + _GROWTH:
            self._thin()

    def _thin(self) -> None:
        kept = thinned(self.read(), int(time.time() * 1000))
        write_whole(self._path, b"".join(b"\n" + msgspec.json.encode(point) for point in kept))
        self._thinned = self._path.stat().st_size

    def read(self, start: int = 0, end: int = 2**62) -> list[QualityPoint]:
        """Return the points from ``start`` until before ``end`` (ms), oldest first.

        A line that cannot be read, such as one that is just being written, is left out.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                point = _DECODER.decode(line)
            except msgspec.MsgspecError:
                continue
            if start <= point.at < end:
                found.append(point)
        return found


def thinned(points: Iterable[QualityPoint], now: int) -> list[QualityPoint]:
    """Return the points to keep: all of the last two days, and the last one of each hour before."""
    hours: dict[int, QualityPoint] = {}
    recent = []
    for point in points:
        if point.at >= now - _RECENT_MS:
            recent.append(point)
        else:
            hours[point.at // _HOUR_MS] = point
    return [*hours.values(), *recent]


def spread(points: list[QualityPoint], most: int) -> list[QualityPoint]:
    """Return at most so many points, the last one of each equal part of the time they span."""
    if len(points) <= most:
        return points
    first, last = points[0].at, points[-1].at
    parts = {(point.at - first) * (most - 1) // max(1, last - first): point for point in points}
    return list(parts.values())
