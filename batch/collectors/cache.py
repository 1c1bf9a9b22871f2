"""Answers worth asking about again conditionally: ``ETag`` and ``Last-Modified``."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TABLE = """
create table if not exists answers (
    question text primary key,
    etag text,
    modified text,
    fresh_until real not null,
    body blob not null
) without rowid
"""
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer held, with what proves it still holds (`fresh_until`: epoch seconds)."""

    body: bytes
    etag: str | None
    modified: str | None
    fresh_until: float

    def conditions(self) -> dict[str, str]:
        """Return the headers that make the next request conditional."""
        headers = {}
        if self.etag:
            headers["if-none-match"] = self.etag
        if self.modified:
            headers["if-modified-since"] = self.modified
        return headers


class Cache:
    """One SQLite file; a commit per answer, so a kill leaves whole answers only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "cache.sqlite", isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.execute(_TABLE)

    def get(self, question: str) -> Cached | None:
        """Return the cached answer to a request; ``question`` is its URL with its parameters."""
        row = self._db.execute(
            "select body, etag, modified, fresh_until from answers where question = ?", (question,)
        ).fetchone()
        return None if row is None else Cached(zlib.decompress(row[0]), *row[1:])

    def put(self, question: str, body: bytes, headers: Mapping[str, str], now: float) -> None:
        """Hold an answer if the source gave it a validator or a lifetime."""
        control = headers.get("cache-control", "").lower()
        etag, modified = headers.get("etag"), headers.get("last-modified")
        age = _MAX_AGE.search(control)
        fresh_until = now + int(age[1]) if age and "no-cache" not in control else 0.0
        if "no-store" in control or not (etag or modified or fresh_until):
            return
        self._db.execute(
            "insert or replace into answers values (?, ?, ?, ?, ?)",
            (question, etag, modified, fresh_until, zlib.compress(body, 3)),
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()
