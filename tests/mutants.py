"""Mutation testing: ``python -m tests.mutants [GROUP ...] [--seconds N]`` (``make mutants``).

mutmut changes the code at single points. A mutant is *killed* if a unit test fails on it. A mutant
that survives, or that no test reaches, shows code whose behaviour no unit test fixes. Each group is
run in a copy of the repository below ``.mutants`` for a limited time; a later run resumes there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.repository import ROOT, files

SCRATCH = ROOT / ".mutants"
PACKAGES = ("api", "batch", "contracts", "infra", "online_model", "streams", "web")
# mutmut 3.7 reads an attribute of a test that pytest 9.2 renamed; newer ones need a click that
# faust-streaming excludes.
_RUN = """
from _pytest.nodes import Node
Node._nodeid = property(lambda self: self.nodeid)
from mutmut.__main__ import cli
cli()
"""
# Exit codes of the child that ran a mutant; other codes are failed tests, crashes and time-outs.
_SURVIVED, _NO_TEST = 0, (5, 33)


@dataclass(frozen=True, slots=True)
class Group:
    """Files to mutate and the tests that must notice.

    Attributes
    ----------
    floor
        Per cent of the judged mutants that must be killed, close to the last measurement; 0: no
        floor yet. It holds only if at least half of the mutants were judged: fewer are no fair
        sample.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    floor: int


GROUPS: dict[str, Group] = {
    "contracts": Group(
        ("contracts/same_play.py", "contracts/plays.py", "contracts/experiments.py"),
        ("tests/contracts",),
        85,
    ),
    "streams": Group(
        ("streams/fold.py", "streams/duplicates.py", "streams/decode.py", "streams/buffer.py"),
        tuple(
            f"tests/streams/test_{name}.py" for name in ("fold", "duplicates", "decode", "buffer")
        ),
        95,
    ),
    "api": Group(
        ("api/auth.py", "api/privacy.py"),
        ("tests/api/test_auth.py", "tests/api/test_privacy.py", "tests/api/test_roles.py"),
        85,
    ),
    "batch": Group(("batch/quality.py",), ("tests/batch/test_quality.py",), 93),
    "web": Group(
        ("web/csrf.py", "web/words.py", "web/passing.py"),
        tuple(
            f"tests/web/test_{name}.py"
            for name in ("words", "csrf", "forms", "imports", "pages", "sessions")
        ),
        88,
    ),
}


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of a group's mutants."""

    killed: int
    survived: int
    unreached: int
    unjudged: int

    @property
    def is_fair(self) -> bool:
        """Whether at least half of the mutants were judged."""
        return self.killed + self.survived + self.unreached >= self.unjudged

    @property
    def share(self) -> float:
        """Per cent of the judged mutants that were killed; 0 if none was judged.

        Examples
        --------
        >>> Score(killed=8, survived=1, unreached=1, unjudged=90).share
        80.0
        """
        judged = self.killed + self.survived + self.unreached
        return 100 * self.killed / judged if judged else 0.0


def prepare(name: str, group: Group) -> Path:
    """Copy the repository for a group, with mutmut's configuration; return the folder."""
    folder = SCRATCH / name
    for path in files():
        source, target = ROOT / path, folder / path
        if not (target.exists() and _same(source, target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    source_path = group.files[0].partition("/")[0]
    copied = [each for each in PACKAGES if each != source_path]
    lists = {
        "source_paths": [source_path],
        "only_mutate": list(group.files),
        "also_copy": [*copied, "docs", "docker-compose.yml", "README.md", "mkdocs.yml"],
        "pytest_add_cli_args": ["-n0", "-p", "no:randomly", "-q"],
        "pytest_add_cli_args_test_selection": list(group.tests),
    }
    lines = [f"{key}=\n" + "".join(f"    {each}\n" for each in of) for key, of in lists.items()]
    (folder / "setup.cfg").write_text("[mutmut]\n" + "".join(lines))
    return folder


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def run(folder: Path, seconds: float) -> None:
    """Judge mutants for at most so many seconds."""
    command = [sys.executable, "-c", _RUN, "run", "--max-children", "2"]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()


def _verdicts(folder: Path) -> Iterator[tuple[str, int | None]]:
    for path in sorted(folder.glob("mutants/**/*.meta")):
        yield from json.loads(path.read_text())["exit_code_by_key"].items()


def score(folder: Path) -> Score:
    """Return the verdicts so far; a mutant that ran out of time counts as killed."""
    codes = Counter(code for _, code in _verdicts(folder))
    survived, unjudged = codes[_SURVIVED], codes[None]
    unreached = sum(codes[code] for code in _NO_TEST)
    killed = codes.total() - survived - unreached - unjudged
    return Score(killed, survived, unreached, unjudged)


def survivors(folder: Path) -> list[str]:
    """Return the names of mutants that no test noticed."""
    return [name for name, code in _verdicts(folder) if code in (_SURVIVED, *_NO_TEST)]


def main() -> int:
    """Run the groups; return 1 if a share is below its floor, or if nothing was killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], default=[])
    parser.add_argument("--seconds", type=float, default=300.0, help="time limit of each group")
    chosen = parser.parse_args()
    bad = False
    for name in chosen.groups or GROUPS:
        folder = prepare(name, GROUPS[name])
        run(folder, chosen.seconds)
        found = score(folder)
        (folder / "survivors.txt").write_text("\n".join(survivors(folder)) + "\n")
        print(
            f"{name}: {found.share:.0f} %: {found.killed} killed, {found.survived} survived, "
            f"{found.unreached} without a test, {found.unjudged} not judged in time "
            f"({folder.relative_to(ROOT)}/survivors.txt)",
            flush=True,
        )
        bad |= found.share == 0 or (found.is_fair and found.share < GROUPS[name].floor)
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
