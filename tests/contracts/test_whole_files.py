"""Files are the old ones or the new ones, never something between."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.whole_files import replacing, unfinished, write_whole


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "latest.html"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_end_of_the_block_readers_see_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "live.bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
        (half,) = unfinished(tmp_path, "*.bin")
        assert half.name.startswith(".live.bin.")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
