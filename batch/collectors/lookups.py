"""Look-ups: the same question about many things, each asked once a run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from batch.collectors.checkpoints import Checkpoints
from batch.collectors.errors import ShapeBroken, SourceRefused, SourceUnavailable
from batch.collectors.fetcher import Fetcher
from batch.collectors.shape import read
from batch.collectors.tally import count
from contracts.errors import SegueError

_LOG = logging.getLogger(__name__)
#: An interrupted run older than this (seconds) is not resumed: its answers have aged.
_STALE = 86_400
#: Refusals in a row that end a run.
_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One question to a source; ``what`` is unique in the run.

    ``contract`` is a struct, or a list of one where the answer is a list.
    """

    what: str
    path: str
    params: dict[str, str]
    contract: Any


class LookupRun(msgspec.Struct):
    """Checkpoint of a run of look-ups."""

    run: str
    begun: float
    finished: bool = False


async def look_up(
    fetcher: Fetcher,
    checkpoints: Checkpoints,
    name: str,
    questions: Sequence[Question],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LookupRun:
    """Ask every question; the answers lie in the archive for the staging step.

    A question that fails after all its attempts is counted and left out, and the run stays open:
    the next call asks only what has no answer yet.

    Raises
    ------
    SourceUnavailable
        The circuit breaker is open; the next call resumes.
    SourceRefused
        The source refuses permanently.
    """
    run = checkpoints.load(name, LookupRun)
    if run is None or run.finished or time.time() - run.begun > _STALE:
        run = LookupRun(f"{name}-{int(time.time() * 1000)}", time.time())
        checkpoints.save(name, run)
    fetcher.archive.begin(run.run)
    todo = list(reversed(questions))
    done = failed = 0
    refusals = 0
    given_up: list[SegueError] = []

    async def work() -> None:
        nonlocal done, failed, refusals
        while todo and not given_up:
            question = todo.pop()
            try:
                record = await fetcher.get(question.what, question.path, question.params)
                refusals = 0
                if record is not None:
                    read(record.body, question.contract, fetcher.tally)
            except ShapeBroken as error:
                count(fetcher.tally.rejected, "shape")
                _LOG.warning("%s: %s", question.what, error)
            except SourceRefused as error:
                # One odd name may be refused; when every question is, it is us who are.
                refusals += 1
                _LOG.warning("%s: %s", question.what, error)
                if refusals >= _REFUSALS:
                    given_up.append(error)
            except SourceUnavailable as error:
                failed += 1
                _LOG.warning("%s", error)
                if fetcher.left_alone:
                    given_up.append(error)
            done += 1
            progress(done, len(questions))

    async with asyncio.TaskGroup() as group:
        for _ in range(fetcher.source.policy.concurrency):
            group.create_task(work())
    if given_up:
        raise given_up[0]
    run.finished = not failed
    checkpoints.save(name, run)
    return run
