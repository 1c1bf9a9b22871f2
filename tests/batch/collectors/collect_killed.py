"""``python -m tests.batch.collectors.collect_killed``: collections that are ended by ``SIGKILL``.

Reads :class:`Plan` objects from standard input and carries one out after the other. For each of its
points a forked process collects until it has passed the point so many times, and kills itself
there; then processes collect undisturbed until there is nothing new. Prints a line each, ``killed
POINT``, and at last ``done``.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from batch.catalogue import resettle, resolve, review
from batch.collectors import archive, checkpoints, deliver, files
from batch.collectors.lastfm import source as lastfm
from batch.collectors.listenbrainz import plays as listenbrainz
from batch.collectors.policy import Policy
from batch.collectors.run import Request, collect
from batch.collectors.spotify import source as spotify
from batch.staging import from_archive, load
from contracts.settings import Settings

#: Where a process can be ended: right after this has returned.
POINTS: dict[str, tuple[Any, str]] = {
    "answer kept": (archive.Archive, "append"),
    "plays delivered": (deliver.Platform, "__call__"),
    "checkpoint": (checkpoints.Checkpoints, "save"),
    "answers staged": (from_archive, "_stage"),  # the place in the archive has not moved yet
    "rows copied": (load.Loader, "_copy"),
    "rows staged": (load.Loader, "load"),
    "rows linked": (resolve, "_link"),
    "merges": (review, "apply_decisions"),
    "pages": (resettle, "refresh"),
    "content": (resettle, "build"),
    "view": (resettle, "publish"),
    "lake": (resettle, "export"),
}
QUICK = Policy(rate=2000.0, timeout=30.0, first_wait=0.001, longest_wait=0.01, breaker_after=50)
#: Runs after the last kill; a run may have more requests because of the answers of the one before.
_MOST = 8


class Plan(msgspec.Struct):
    """What to collect, and where to be killed: ``"<point>:<times passed>"``."""

    request: dict[str, Any]
    points: list[str]


def main() -> None:
    """Carry the plans out."""
    files._BATCH = 40
    for module, name in ((lastfm, "source"), (listenbrainz, "source"), (spotify, "user_source")):
        _hurry(module, name)
    for plan in msgspec.json.decode(sys.stdin.buffer.read(), type=list[Plan]):
        home, dsn = Path(plan.request.pop("home")), plan.request.pop("dsn")
        plan.request["settings"] = Settings(home=home, postgres_dsn=dsn)
        if file := plan.request.get("file"):
            plan.request["file"] = Path(file)
        _carry_out(plan)


def _carry_out(plan: Plan) -> None:
    for point in plan.points:
        status = _apart(partial(_collect, plan, point))
        assert os.WIFSIGNALED(status), f"{point} was never reached"
        assert os.WTERMSIG(status) == signal.SIGKILL
        print(f"killed {point}", flush=True)
    for _ in range(_MOST):
        if os.waitstatus_to_exitcode(_apart(partial(_collect, plan))) == 0:
            print("done", flush=True)
            return
    sys.exit("there is always something new, or a run fails")


def _hurry(module: Any, name: str) -> None:
    real = getattr(module, name)
    setattr(module, name, lambda home, url: real(home, url, QUICK))


def _collect(plan: Plan, point: str = "") -> int:
    """Collect once, to the point if there is one; return 0 if nothing was new."""
    if point:
        _die_at(point)
    outcome = collect(Request(**plan.request))
    assert outcome.outcome == "finished", outcome.error
    return 3 if any(outcome.staged.values()) or outcome.plays else 0


def _apart(work: Callable[[], int]) -> int:
    """Run in a process of its own, without loading everything again; return its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = work()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1]


def _die_at(point: str) -> None:
    name, _, times = point.partition(":")
    owner, attribute = POINTS[name]
    real = getattr(owner, attribute)
    left = int(times)

    def passed() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if inspect.iscoroutinefunction(real):

        async def waited(*args: Any, **more: Any) -> Any:
            result = await real(*args, **more)
            passed()
            return result

        setattr(owner, attribute, waited)
        return

    def called(*args: Any, **more: Any) -> Any:
        result = real(*args, **more)
        passed()
        return result

    setattr(owner, attribute, called)


if __name__ == "__main__":
    main()
