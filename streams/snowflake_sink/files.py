"""A file in the stage is named by what it holds: topic, log, partition, range of offsets, rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PATH = re.compile(
    r"(?:^|/)(?P<topic>[^/]+)/(?P<log_id>[^/]+)/p(?P<partition>\d{4,})/"
    r"(?P<first>\d{20})-(?P<last>\d{20})-(?P<rows>\d+)\.parquet$"
)


@dataclass(frozen=True, slots=True, order=True)
class RangeFile:
    """One range of one partition.

    Attributes
    ----------
    first, last
        Offsets; everything from ``first`` to ``last`` was applied or rejected.
    rows
        Rows in the file: 0 where every message of the range was rejected.
    """

    topic: str
    log_id: str
    partition: int
    first: int
    last: int
    rows: int

    @property
    def folder(self) -> str:
        """Folder in the stage."""
        return f"{self.topic}/{self.log_id}/p{self.partition:04d}"

    @property
    def name(self) -> str:
        """Name in its folder; names sort as their offsets do."""
        return f"{self.first:020d}-{self.last:020d}-{self.rows}.parquet"

    @property
    def path(self) -> str:
        """Path in the stage.

        Examples
        --------
        >>> RangeFile("segue.plays", "x", 3, 0, 9, 12).path
        'segue.plays/x/p0003/00000000000000000000-00000000000000000009-12.parquet'
        """
        return f"{self.folder}/{self.name}"

    @classmethod
    def parse(cls, path: str) -> RangeFile | None:
        """Return the file that a path names; ``None`` if the path has another form.

        The name of the stage may precede the path.
        """
        found = _PATH.search(path)
        if found is None:
            return None
        numbers = (int(found[name]) for name in ("partition", "first", "last", "rows"))
        return cls(found["topic"], found["log_id"], *numbers)


def newest(files: Iterable[RangeFile]) -> dict[int, RangeFile]:
    """Return the file with the highest last offset of each partition."""
    found: dict[int, RangeFile] = {}
    for file in files:
        if file.partition not in found or file.last > found[file.partition].last:
            found[file.partition] = file
    return found
