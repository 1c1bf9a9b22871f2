"""``segue doctor``: what is installed, reachable and wrong, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console

from contracts.settings import Settings
from infra.cli.options import HomeOption, JsonOption
from infra.stack.checks import FAIL, OK, WARN, Finding, everything

_STYLE = {OK: "green", WARN: "yellow", FAIL: "bold red"}


def doctor(
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check Python, packages, servers, home, ports and the running stack; exit 1 if one fails."""
    settings = Settings.from_env()
    checks: list[Finding] = []
    console = Console(soft_wrap=True, highlight=False)
    for check in everything((home or settings.home).absolute(), settings):
        checks.append(check)
        if not as_json:
            _show(console, check)
    failed = [check.name for check in checks if check.level == FAIL]
    if as_json:
        print(json.dumps({"ok": not failed, "checks": [asdict(check) for check in checks]}))
    elif failed:
        console.print(f"\n{len(failed)} of {len(checks)} checks fail: {', '.join(failed)}")
    else:
        warned = sum(check.level == WARN for check in checks)
        some = f", {warned} to look at" if warned else ", all well"
        console.print(f"\n{len(checks)} checks{some}")
    raise typer.Exit(1 if failed else 0)


def _show(console: Console, check: Finding) -> None:
    console.print(f"{check.level:>4}", style=_STYLE[check.level], end="  ")
    todo = f"  -> {check.todo}" if check.todo else ""
    console.print(f"{check.name:<28} {check.found}{todo}", markup=False)
