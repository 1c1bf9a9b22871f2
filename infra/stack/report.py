"""The state of every part of a running stack, for ``segue status``."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from contracts.errors import SegueError
from contracts.heartbeat import Heartbeat
from contracts.settings import Settings
from contracts.workers import API, BY_NAME, FLINK, wanted
from infra.flink.process import stop_mark
from infra.flink.rest import Rest
from infra.stack.home import StackRecord
from infra.stack.progress import ends, heartbeats, lag, readyz


@dataclass(slots=True)
class Part:
    """One process of the stack.

    Attributes
    ----------
    state
        ``running``, ``gone``, or the state in the heartbeat; ``silent`` without a fresh one.
    offset
        Messages applied, summed over partitions, for workers that fold the log.
    lag
        Messages still to apply up to the true end of the log.
    """

    name: str
    state: str
    pid: int | None
    started_at: int | None
    restarts: int
    offset: int | None = None
    lag: int | None = None
    detail: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state == "running"

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "ok": self.well}


def parts_of(run: StackRecord) -> list[Part]:
    """Return every part of a run, asking the stores for what only they know."""
    settings = Settings.from_env(run.environ)
    beats: dict[str, Heartbeat] = {}
    true_ends: dict[str, int] | None = None
    trouble = "" if run.environ else "the servers are starting"
    if run.environ:
        try:
            beats = heartbeats(settings)
            true_ends = ends(settings)
        except SegueError as error:
            trouble = str(error)
    names = dict.fromkeys(
        [
            *(n for n in run.processes if n != "supervisor"),
            *(spec.name for spec in wanted(os.environ) if not spec.after_ready),
        ]
    )
    parts = []
    for name in names:
        entry = run.processes.get(name, {})
        part = Part(
            name,
            "running" if run.alive(name) else "gone",
            entry.get("pid"),
            entry.get("started_at"),
            entry.get("restarts", 0),
        )
        if name in BY_NAME and BY_NAME[name].folds and part.well:
            _fold(part, beats.get(name), true_ends, trouble)
        if name == API.name and part.well:
            _api(part, settings)
        if name == FLINK.name and part.well:
            tell_of_flink(part, settings)
        parts.append(part)
    return parts


def tell_of_flink(part: Part, settings: Settings) -> None:
    """Fill in the job's state from Flink's REST interface."""
    if stop_mark(settings).exists():
        part.state, part.detail = "stopped", "segue flink start resumes the jobs"
        return
    try:
        job = Rest(settings.flink).job()
    except SegueError as error:
        part.state, part.detail = "starting", str(error)
        return
    if not job.well:
        part.state = job.state.lower()
        part.detail = f"{job.tasks[0]} of {job.tasks[1]} tasks run {job.exception}".rstrip()


def _fold(
    part: Part, beat: Heartbeat | None, true_ends: dict[str, int] | None, trouble: str
) -> None:
    """Fill in the content of a worker's heartbeat."""
    behind = None if true_ends is None else lag(beat, true_ends)
    if beat is None or (true_ends is not None and behind is None):
        part.state, part.detail = "silent", trouble or "no fresh heartbeat; see its log"
        return
    part.state, part.detail = beat.state, beat.detail or trouble
    part.lag = behind
    if true_ends is not None:
        part.offset = sum(beat.offsets.get(place, 0) for place in true_ends)


def _api(part: Part, settings: Settings) -> None:
    try:
        status, said = readyz(settings)
    except SegueError as error:
        part.state, part.detail = "silent", str(error)
        return
    if status != 200:
        part.state, part.detail = "waiting", f"/readyz: {said}"
