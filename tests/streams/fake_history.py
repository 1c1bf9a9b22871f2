"""The history's tables in memory, with transactions, in which any statement can fail once.

Each statement of the history sink is a step. What it does to the tables is written here in Python;
that the SQL does the same is shown on a real PostgreSQL in ``tests/integration``.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from streams import postgres_sink, settle, upsert
from streams.duplicates import ReportedPlay, fill
from streams.nearby import nearby
from tests.streams.fakes import Steps

Key = tuple[str, str]
_COLUMNS = ReportedPlay.__struct_fields__


@dataclass
class Tables:
    """What is committed, or what a transaction sees.

    Attributes
    ----------
    merged
        Event -> its report and the head of its group.
    notes
        Rows of ``merges``.
    fence
        Partition -> last offset applied.
    """

    plays: dict[Key, ReportedPlay] = field(default_factory=dict)
    merged: dict[Key, tuple[ReportedPlay, str]] = field(default_factory=dict)
    apart: set[Key] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[tuple[Any, ...]] = field(default_factory=list)
    fence: dict[int, int] = field(default_factory=dict)
    incoming: list[ReportedPlay] = field(default_factory=list)
    touched: set[Key] = field(default_factory=set)


class FakeHistory:
    """A database that one sink writes to; :meth:`connect` replaces ``psycopg.connect``."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.committed = Tables()
        self.now = self.committed
        self._name = "history_fence"

    def connect(self, *_: object, **__: object) -> FakeHistory:
        self.steps.reach("connect")
        return self

    def close(self) -> None:
        pass

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self.now = copy.deepcopy(self.committed)
        yield
        self.steps.reach("before the commit")
        self.now.incoming, self.now.touched = [], set()
        self.committed = self.now
        self.steps.reach("after the commit")

    def cursor(self) -> FakeHistory:
        return self

    def __enter__(self) -> FakeHistory:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, query: Any, arguments: Any = None) -> _Rows:
        text = query.decode() if isinstance(query, bytes) else query
        if text == postgres_sink._READ.format(sql.Identifier(self._name)):
            return self._do("read the fence", self._read_fence, arguments)
        known: dict[Any, tuple[str, Callable[[Any], list[Any]]]] = {
            settle.LOCK: ("lock", lambda _: []),
            upsert._STAGE: ("stage", lambda _: []),
            upsert._FILL_MERGED: ("fill merged", self._fill_merged),
            upsert._INSERT: ("insert", self._insert),
            nearby(upsert._SEEDS): ("nearby", self._nearby),
            settle._SHOWN: ("shown", self._shown),
            settle._MERGED: ("merged", self._merged),
            settle._APART: ("apart", self._apart),
            settle._HIDE: ("hide", self._hide),
            settle._SPLIT: ("split", self._split),
        }
        return self._do(*known[text], arguments)

    def executemany(self, query: Any, rows: list[tuple[Any, ...]]) -> None:
        fence = sql.Identifier(self._name)
        if query == postgres_sink._MEET.format(fence):
            self.steps.reach("meet the fence")
            for _, partition, *_ in rows:
                self.now.fence.setdefault(partition, -1)
        elif query == postgres_sink._ADVANCE.format(fence):
            self.steps.reach("advance the fence")
            self.now.fence |= {partition: offset for offset, _, partition in rows}
        else:
            assert query == settle._COUNT
            self.steps.reach("count")
            for change, user in rows:
                self.now.counts[user] += change

    @contextlib.contextmanager
    def copy(self, query: str) -> Iterator[_Copy]:
        into = {
            f"copy incoming ({settle.COLUMNS}) from stdin": ("copy incoming", self._stage),
            settle._SHOW: ("show", self._show),
            settle._MERGE: ("merge", self._merge),
            settle._NOTE: ("note", self.now.notes.append),
        }
        name, take = into[query]
        yield _Copy(take)
        self.steps.reach(name)

    def _do(self, name: str, make: Callable[[Any], list[Any]], arguments: Any) -> _Rows:
        self.steps.reach(name)
        return _Rows(make(arguments))

    def _read_fence(self, arguments: tuple[str, list[int]]) -> list[Any]:
        return [(p, offset, p) for p, offset in self.now.fence.items() if p in arguments[1]]

    def _stage(self, row: tuple[Any, ...]) -> None:
        *columns, clients = row
        names = [name.strip('"') for name in clients.strip("{}").split(",")]
        self.now.incoming.append(_told((*columns, names)))

    def _fill_merged(self, _: None) -> list[Any]:
        for report in self.now.incoming:
            if _key(report) in self.now.merged:
                known, head = self.now.merged[_key(report)]
                if (filled := fill(known, report)) != known:
                    self.now.merged[_key(report)] = filled, head
                    self.now.touched.add(_key(report))
        return []

    def _insert(self, _: None) -> list[Any]:
        new = 0
        for report in self.now.incoming:
            key, known = _key(report), self.now.plays.get(_key(report))
            if key in self.now.merged:
                continue
            filled = report if known is None else fill(known, report)
            if known is None:
                new += 1
                self.now.counts[report.user_id] = self.now.counts.get(report.user_id, 0) + 1
            if filled != known:
                self.now.plays[key] = filled
                self.now.touched.add(key)
        return [(new,)]

    def _nearby(self, _: None) -> list[Key]:
        """Return more than the query does: all reports of the recordings that changed."""
        songs: dict[tuple[str, int | None], set[Key]] = {}
        for told in (*self.now.plays.values(), *(told for told, _ in self.now.merged.values())):
            songs.setdefault((told.user_id, told.name_key), set()).add(_key(told))
        seeds = [told for told in self.now.incoming if _key(told) in self.now.touched]
        changed = {(seed.user_id, seed.name_key) for seed in seeds}
        return sorted(key for song in changed if len(songs[song]) > 1 for key in songs[song])

    def _shown(self, where: Any) -> list[Any]:
        return [_row(self.now.plays[key]) for key in _keys(where) if key in self.now.plays]

    def _merged(self, where: Any) -> list[Any]:
        found = (self.now.merged[key] for key in _keys(where) if key in self.now.merged)
        return [(*_row(told), head) for told, head in found]

    def _apart(self, where: Any) -> list[Any]:
        return [key for key in _keys(where) if key in self.now.apart]

    def _hide(self, where: Any) -> list[Any]:
        return [self.now.plays.pop(key, None) for key in _keys(where)]

    def _split(self, where: Any) -> list[Any]:
        return [self.now.merged.pop(key, None) for key in _keys(where)]

    def _show(self, row: tuple[Any, ...]) -> None:
        told = _told(row)
        assert _key(told) not in self.now.plays, "the primary key"
        self.now.plays[_key(told)] = told

    def _merge(self, row: tuple[Any, ...]) -> None:
        *columns, head = row
        told = _told(columns)
        assert _key(told) not in self.now.merged, "the primary key"
        self.now.merged[_key(told)] = told, head


class _Rows(list[Any]):
    def fetchall(self) -> list[Any]:
        return list(self)

    def fetchone(self) -> Any:
        return self[0] if self else None


class _Copy:
    def __init__(self, take: Callable[[tuple[Any, ...]], None]) -> None:
        self.write_row = take


def _key(told: ReportedPlay) -> Key:
    return told.user_id, told.event_id


def _keys(where: tuple[list[str], list[str]]) -> list[Key]:
    return list(zip(*where, strict=True))


def _row(told: ReportedPlay) -> tuple[Any, ...]:
    return tuple(getattr(told, name) for name in _COLUMNS)


def _told(columns: Any) -> ReportedPlay:
    plain = (value.obj if isinstance(value, Jsonb) else value for value in columns)
    return ReportedPlay(**dict(zip(_COLUMNS, plain, strict=True)))
