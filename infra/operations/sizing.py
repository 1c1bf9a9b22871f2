"""What a deployment needs, from the measured cost of a play, a list, a listener and a track.

docs/sizing.md describes how each cost was measured. Between and beyond the measured points this
module assumes that costs grow linearly with the load. A *limit* is a load beyond which more of the
same processes or machines do not help.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DAY = 86_400
#: Processor time of a play in microseconds, by process, while 5,700 single plays a second were
#: posted and every worker followed (`segue bench live`, Apache Kafka, the longer log).
PLAY_US = {
    "api": 56.0, "kafka": 42.0, "listeners": 44.0, "learner": 59.0, "lake-sink": 12.0,
    "history-sink": 21.0, "valkey": 20.0, "postgres": 16.0,
}  # fmt: skip
#: Processor time of a list in microseconds, by process, at the limit of 8,279 lists a second
#: (`segue bench serve`).
LIST_US = {
    "api": 105.0, "kafka": 31.0, "lake-sink": 48.0, "valkey": 2.4, "listeners": 1.6,
    "learner": 2.4,
}  # fmt: skip
#: Share of a core that a process is planned to use at the peak.
TARGET = 0.6
#: Bytes that a play takes in each store.
PLAY_BYTES = {"kafka": 241.0, "lake": 68.0, "postgres": 377.0}
#: Bytes that an impression of twenty tracks, the default length, takes in the log (ADR 51).
IMPRESSION_BYTES = 6_540
#: Bytes of the model's file for a track and for a listener.
TRACK_BYTES, LISTENER_BYTES = 2_900, 3_900
#: Bytes of Redis for a listener whose window of plays is full, estimated.
WINDOW_BYTES = 4_300
#: Nightlies on DuckDB as measured: plays of history, seconds, bytes of memory.
NIGHTS = ((1e6, 47.6, 1_032e6), (3e6, 88.7, 1_848e6), (10e6, 189.6, 4_344e6))
#: The largest history, in plays, that the embedded warehouse was measured with.
NIGHT_MEASURED = NIGHTS[-1][0]
#: Workers whose processes share the partitions of the log as a consumer group.
_GROUPS = ("listeners", "lake-sink", "history-sink")
#: Partitions that docs/clusters.md advises: so many processes of a worker can share them.
PARTITIONS = 64


@dataclass(frozen=True, slots=True)
class Load:
    """What a deployment has to carry.

    Attributes
    ----------
    plays_per_day, listeners, tracks
        Plays of an average day; listeners and tracks that the model knows.
    lists_per_play
        Lists asked for, for each play.
    peak
        How many times the average the busiest hour is.
    days
        Days of history in the warehouse and in PostgreSQL.
    kept_days
        Days the log is kept.
    """

    plays_per_day: float
    listeners: float
    tracks: float
    lists_per_play: float = 0.1
    peak: float = 3.0
    days: float = 365.0
    kept_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of process.

    Attributes
    ----------
    cores
        Cores that all its processes use together at the peak.
    limit
        Its limit, if the load is too much for it.
    note
        What must be set so that so many processes share the load.
    """

    name: str
    cores: float
    processes: int
    limit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """What a load needs; bytes are of one copy (multiply by the replicas of your stores)."""

    plays_per_second: float
    lists_per_second: float
    parts: list[Part]
    redis_bytes: float
    model_bytes: float
    log_bytes: float
    lake_bytes: float
    history_bytes: float
    night_seconds: float
    night_bytes: float
    limits: list[str]
    notes: list[str]


def size(load: Load) -> Size:
    """Return what a load needs.

    Raises
    ------
    ValueError
        A figure is not above 0, or the peak is below 1.
    """
    values = (load.plays_per_day, load.listeners, load.tracks, load.days, load.kept_days)
    if min(values) <= 0 or load.lists_per_play < 0 or load.peak < 1:
        raise ValueError("every figure must be above 0, and the peak at least 1")
    plays = load.plays_per_day / DAY * load.peak
    lists = plays * load.lists_per_play
    parts = [_part(name, plays, lists) for name in PLAY_US]
    history = load.plays_per_day * load.days
    night_seconds, night_bytes = _night(history)
    limits = [f"{part.name}: {part.limit}" for part in parts if part.limit]
    if history > NIGHT_MEASURED:
        limits.append(
            f"nightly: {history:,.0f} plays of history; the embedded warehouse was measured up to "
            f"{NIGHT_MEASURED:,.0f}: use Snowflake (docs/snowflake.md)"
        )
    impressions = load.plays_per_day * load.lists_per_play * IMPRESSION_BYTES
    return Size(
        plays_per_second=plays,
        lists_per_second=lists,
        parts=parts,
        redis_bytes=load.listeners * WINDOW_BYTES,
        model_bytes=load.tracks * TRACK_BYTES + load.listeners * LISTENER_BYTES,
        log_bytes=(load.plays_per_day * PLAY_BYTES["kafka"] + impressions) * load.kept_days,
        lake_bytes=history * PLAY_BYTES["lake"],
        history_bytes=history * PLAY_BYTES["postgres"],
        night_seconds=night_seconds,
        night_bytes=night_bytes,
        limits=limits,
        notes=[f"{part.name}: {part.note}" for part in parts if part.note],
    )


def _night(history: float) -> tuple[float, float]:
    """Return seconds and bytes of a night: linear between, before and beyond those measured."""
    after = next((n for n, night in enumerate(NIGHTS[1:-1], 1) if history <= night[0]), -1)
    (plays, *low), (more, *high) = NIGHTS[after - 1], NIGHTS[after]
    share = (history - plays) / (more - plays)
    seconds, held = (a + share * (b - a) for a, b in zip(low, high, strict=True))
    return seconds, held


def _part(name: str, plays: float, lists: float) -> Part:
    cores = (plays * PLAY_US[name] + lists * LIST_US.get(name, 0.0)) / 1e6
    processes = math.ceil(cores / TARGET)
    if name == "api" or processes <= 1:
        return Part(name, cores, max(1, processes))
    if name in _GROUPS:
        sink = name.endswith("-sink")
        note = "its processes share the partitions with SEGUE_SHARED_SINKS=1" if sink else ""
        limit = (
            f"{processes} processes need as many partitions, and {PARTITIONS} are usual: set "
            "SEGUE_PARTITIONS (docs/clusters.md)"
        )
        return Part(name, cores, processes, limit if processes > PARTITIONS else "", note)
    if name in ("kafka", "valkey", "postgres"):
        # Kafka and PostgreSQL use several cores, Valkey one.
        limit = "it uses one core: use a Cluster" if name == "valkey" and cores > 1 else ""
        return Part(name, cores, 1, limit)
    most = f"one process follows the whole log: at most {1e6 * TARGET / PLAY_US[name]:,.0f} plays/s"
    return Part(name, cores, 1, f"{most} without lists")
