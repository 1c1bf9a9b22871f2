"""The archive survives every way of being cut short."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from batch.collectors.archive import Archive, days, read
from contracts.errors import ConfigurationError

DAY = 86_400_000


def fill(folder: Path, count: int, at: int = 1_700_000_000_000) -> None:
    with Archive(folder) as archive:
        archive.begin("r1")
        for n in range(count):
            archive.append(
                what=f"page/{n}", path="/2.0/", params={"page": str(n)}, status=200,
                fetched_at=at, body=json.dumps({"n": n, "pad": "ä" * n}),
            )  # fmt: skip


def bodies(folder: Path) -> list[int]:
    return [json.loads(r.body)["n"] for path in days(folder) for _, r in read(path)]


def test_what_is_appended_is_found_and_read_back_in_order(tmp_path: Path) -> None:
    fill(tmp_path / "s", 5)
    assert bodies(tmp_path / "s") == [0, 1, 2, 3, 4]
    with Archive(tmp_path / "s") as archive:
        archive.begin("r1")
        found = archive.find("page/3")
        assert found is not None
        assert found.params == {"page": "3"}
        assert archive.find("page/9") is None
        archive.begin("r2")
        assert archive.find("page/3") is None
    lines = gzip.decompress(days(tmp_path / "s")[0].read_bytes()).splitlines()
    assert [json.loads(line)["unit"] for line in lines] == [f"r1/page/{n}" for n in range(5)]


def test_a_file_torn_at_any_byte_loses_only_the_answer_being_written(tmp_path: Path) -> None:
    fill(tmp_path / "whole", 3)
    path = days(tmp_path / "whole")[0]
    data = path.read_bytes()
    ends = [end for end, _ in read(path)]
    for cut in range(len(data) + 1):
        folder = tmp_path / f"cut{cut}"
        torn = folder / path.parent.name / path.name
        torn.parent.mkdir(parents=True)
        torn.write_bytes(data[:cut])
        with Archive(folder) as archive:
            archive.begin("r1")
            whole = sum(end <= cut for end in ends)
            assert [archive.find(f"page/{n}") is not None for n in range(3)] == [
                n < whole for n in range(3)
            ]
            archive.append(
                what="page/9", path="/", params={}, status=200,
                fetched_at=1_700_000_000_000, body='{"n": 9}',
            )  # fmt: skip
        assert bodies(folder) == [*range(whole), 9]
        kept = b"".join(p.read_bytes() for p in torn.parent.glob("torn-*"))
        assert kept == data[ends[whole - 1] if whole else 0 : cut]


def test_reading_can_go_on_at_a_noted_offset(tmp_path: Path) -> None:
    fill(tmp_path / "s", 4)
    path = days(tmp_path / "s")[0]
    ends = [end for end, _ in read(path)]
    assert [r.params["page"] for _, r in read(path, ends[1])] == ["2", "3"]
    assert ends[-1] == path.stat().st_size


def test_each_day_has_its_folder_and_a_run_may_span_midnight(tmp_path: Path) -> None:
    fill(tmp_path / "s", 1)
    with Archive(tmp_path / "s") as archive:
        archive.begin("r1")
        archive.append(
            what="late", path="/", params={}, status=200,
            fetched_at=1_700_000_000_000 + DAY, body='{"n": 7}',
        )  # fmt: skip
        assert archive.find("page/0")
        assert archive.find("late")
    assert [p.parent.name for p in days(tmp_path / "s")] == ["2023-11-14", "2023-11-15"]


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with Archive(tmp_path / "s"), pytest.raises(ConfigurationError, match="another"):
        Archive(tmp_path / "s")
