"""``segue down``: stop the stack of a home."""

from __future__ import annotations

import json
import signal
import time

from rich.console import Console

from contracts.errors import Retryable
from contracts.settings import Settings
from infra.cli.options import HomeOption, JsonOption
from infra.stack.home import Home, StackRecord, end_leftovers
from infra.stack.supervisor import DRAIN

#: Draining, then 15 s for workers twice, then the servers.
_PATIENCE = DRAIN + 60.0


def down(
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop all processes of the stack, after every worker has applied the log: no play is lost."""
    place = Home(home or Settings.from_env().home)
    run = place.read_run()
    running = run.alive("supervisor")
    if running:
        _stop(run)
        run = place.read_run()
    left = end_leftovers(run)
    if left and not running:
        run.phase = "stopped"
        place.write_run(run)
    if as_json:
        print(json.dumps({"home": str(place.path), "stopped": running, "leftovers": left}))
        return
    console = Console()
    if running:
        console.print(f"stopped the stack of {place.path}", highlight=False)
    if left:
        console.print(f"ended what a killed run had left: {', '.join(left)}", highlight=False)
    if not running and not left:
        console.print(f"no stack runs in {place.path}", highlight=False)


def _stop(run: StackRecord) -> None:
    run.send("supervisor", signal.SIGTERM)
    end = time.monotonic() + _PATIENCE
    while run.alive("supervisor"):
        if time.monotonic() >= end:
            pid = run.processes["supervisor"]["pid"]
            raise Retryable(
                f"the supervisor (pid {pid}) did not stop within {_PATIENCE:g} s; wait, or end it "
                f"with: kill -9 {pid}"
            )
        time.sleep(0.1)
