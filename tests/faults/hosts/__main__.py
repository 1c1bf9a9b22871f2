"""``python -m tests.faults.hosts``: run the scenario of three hosts and print what came of it.

It starts itself again in namespaces of its own, so it needs no root.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import msgspec

from tests.faults.hosts.network import IN_NAMESPACES
from tests.faults.hosts.scenario import Plan, Scenario


def command(folder: Path, *options: str) -> list[str]:
    """Return what runs the scenario in a folder and writes ``report.json`` there."""
    return [*IN_NAMESPACES, sys.executable, "-m", __package__, "--inside", str(folder), *options]


def main() -> int:
    """Run it; return the exit code."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.hosts", description=__doc__)
    parser.add_argument("--every", action="store_true", help="kill every process and server")
    parser.add_argument("--cut-seconds", type=float, default=usual.cut_seconds)
    parser.add_argument("--plays-per-s", type=float, default=usual.plays_per_s)
    parser.add_argument("--lists-per-s", type=float, default=usual.lists_per_s)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    folder = given.pop("inside")
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return subprocess.call(command(Path(made), *sys.argv[1:]))
    report = Scenario(folder, Plan(**given), lambda line: print(line, flush=True)).run()
    (folder / "report.json").write_bytes(msgspec.json.encode(asdict(report)))
    print(msgspec.json.format(msgspec.json.encode(asdict(report))).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
