"""Archives are streams of members: no disk, no paths, no bombs, no memory."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from infra.operations.imports import members as module
from infra.operations.imports.json_stream import elements
from infra.operations.imports.lines import MAX_LINE, LongLine, lines
from infra.operations.imports.members import Damaged, Member, members
from tests.infra.operations.imports.samples import packed, tarred


def contents(content: bytes) -> dict[str, bytes]:
    return {m.name: m.stream.read(1 << 20) for m in members(io.BytesIO(content), "file.gz")}


def test_numbered_members_come_in_order_and_litter_is_passed_over() -> None:
    content = packed(**{"a_10": b"10", "a_2": b"2", "b__.DS_Store": b"x"})
    assert list(contents(content)) == ["a_2", "a_10"]


def test_a_name_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (packed(**{"..__..__evil": b"x"}), tarred("../../evil", b"x")):
        assert list(contents(content).values()) == [b"x"]
    assert list(tmp_path.iterdir()) == []


class Zeros(io.RawIOBase):
    """A gigabyte of zeros."""

    def __init__(self) -> None:
        self.left = 1 << 30

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self.left)
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def test_a_bomb_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXPANSION_FROM", 1 << 20)
    content = packed(bomb=bytes(8 << 20), fine=b"fine")
    assert len(content) < 20_000

    def drain(member: Member) -> int:
        return sum(len(chunk) for chunk in iter(lambda: member.stream.read(1 << 16), b""))

    found: dict[str, object] = {}
    for member in members(io.BytesIO(content), "x.zip"):
        try:
            found[member.name] = drain(member)
        except Damaged as damage:
            found[member.name] = str(damage)
    assert "zip bomb" in str(found["bomb"])
    assert found["fine"] == 4


def test_damage_is_told_by_member() -> None:
    whole = bytearray(packed(a=b"one two three" * 50, b=b"xyz" * 100))
    at = whole.index(b"PK\x03\x04") + 35
    whole[at : at + 8] = b"\xff" * 8
    found = []
    for member in members(io.BytesIO(bytes(whole)), "x.zip"):
        try:
            while member.stream.read(100):
                pass
            found.append(member.name)
        except Damaged as damage:
            found.append(str(damage).split(":")[0])
    assert found == ["a cannot be read on", "b"]
    with pytest.raises(Damaged, match=r"x\.zip is damaged or not a zip"):
        list(members(io.BytesIO(bytes(whole[:100])), "x.zip"))


def test_an_encrypted_member_is_told() -> None:
    buffer = io.BytesIO(packed(a=b"secret"))
    raw = bytearray(buffer.getvalue())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(magic) + place] |= 1
    (member,) = members(io.BytesIO(bytes(raw)), "x.zip")
    with pytest.raises(Damaged, match="encrypted"):
        member.stream.read(10)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A 30 MB array of records, and a line that never ends, in a few megabytes."""
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.json", "w") as entry:
            entry.write(b"[")
            for number in range(300):
                entry.write(b'{"a": "%s%d"},' % (b"x y z" * 20_000, number))
            entry.write(b"{}]")
        with archive.open("b.txt", "w") as entry:
            for _ in range(30):
                entry.write(b"z" * (1 << 20))
            entry.write(b"\nshort")
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            monkey = module.MOST_EXPANSION
            module.MOST_EXPANSION = 10_000
            try:
                for member in members(file, "big.zip"):
                    if member.name == "a.json":
                        assert (
                            sum(1 for _ in elements(member.stream, lambda row: "a" in row)) == 301
                        )
                    else:
                        long, short = lines(member.stream)
                        assert isinstance(long, LongLine)
                        assert short == "short"
            finally:
                module.MOST_EXPANSION = monkey
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * MAX_LINE
