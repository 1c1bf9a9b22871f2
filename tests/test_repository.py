"""What counts as a file of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.repository import files


def test_new_files_count_and_ignored_and_deleted_ones_do_not(tmp_path: Path) -> None:
    for name in ("kept.md", "gone.md", "new page.md", "ignored.md", "new.py"):
        (tmp_path / name).write_text("text")
    (tmp_path / ".gitignore").write_text("ignored.md\n")
    for command in (["init", "-q"], ["add", "kept.md", "gone.md"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "gone.md").unlink()
    assert files("*.md", root=tmp_path) == [Path("new page.md"), Path("kept.md")]
    everything = {".gitignore", "kept.md", "new page.md", "new.py"}
    assert {str(path) for path in files(root=tmp_path)} == everything
