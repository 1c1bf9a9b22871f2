"""Options of a run of the jobs: on the command line, in addition to the ``SEGUE_*`` settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The jobs, each a file of ``sql/``; a run has all of them unless it names some.
JOBS = ("trending", "sessions", "uniques", "suspects", "late")


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Attributes
    ----------
    jobs
        Which of :data:`JOBS`.
    bound
        Seconds a play may arrive after it was played; what comes later is late.
    idle
        A partition without messages for so many seconds holds no window open. Well above any pause
        of the broker: a slow partition taken for idle loses plays.
    bounded
        Stop at the end of the log as it is now; all windows close then.
    parallelism
        Subtasks of each operator; more than the topic has partitions sit idle.
    conf
        More settings of Flink, ``key -> value``.
    files, out, run
        Batch: folders of plays (JSON lines) and results, and the number that marks the results.
    """

    jobs: tuple[str, ...] = JOBS
    bound: int = 900
    idle: int = 60
    bounded: bool = False
    parallelism: int = 1
    conf: dict[str, str] = field(default_factory=dict)
    files: Path | None = None
    out: Path | None = None
    run: int = 0


def parse(arguments: Sequence[str], bound: int = 900) -> Options:
    """Read a command line.

    Parameters
    ----------
    bound
        Seconds after which a play is late, unless the command line gives another number.

    Examples
    --------
    >>> parse(["--jobs", "sessions,late", "--set", "rest.port=8081"]).conf
    {'rest.port': '8081'}
    """
    parser = argparse.ArgumentParser("streams.flink", description=__doc__)
    parser.add_argument("--jobs", default=",".join(JOBS), help="separated by commas")
    parser.add_argument("--bound", type=int, default=bound)
    parser.add_argument("--idle", type=int, default=60)
    parser.add_argument("--bounded", action="store_true")
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--files", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", type=int, default=0)
    given = parser.parse_args(arguments)
    jobs = tuple(name for name in given.jobs.split(",") if name)
    if unknown := set(jobs) - set(JOBS):
        parser.error(f"--jobs: no job {', '.join(sorted(unknown))}; choose from {', '.join(JOBS)}")
    if (given.files is None) != (given.out is None):
        parser.error("--files and --out belong together")
    return Options(
        jobs=jobs,
        bound=given.bound,
        idle=given.idle,
        bounded=given.bounded,
        parallelism=given.parallelism,
        conf=dict(pair.split("=", 1) for pair in given.set),
        files=given.files,
        out=given.out,
        run=given.run,
    )
