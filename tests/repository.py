"""The files of the repository: what a commit of the working tree would hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def files(*patterns: str, root: Path = ROOT) -> list[Path]:
    """Return the files, relative to ``root``: new ones too, but none that git ignores.

    Parameters
    ----------
    patterns
        Which; as git reads them, ``*.md`` in every folder. None: all.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Path(name) for name in listed.split("\0") if name and (root / name).is_file()]
