"""Data sets that come as files: read, checked, staged in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from batch.catalogue import hetrec, lastfm_1k, mpd, msd, tracks_csv
from batch.collectors.plays import Refused
from batch.staging.load import Loader, reject
from batch.staging.tables import ALL, TRACKS, Row, Table
from contracts.errors import ConfigurationError

_BATCH = 20_000
Rows = Iterable[tuple[Table, Row] | Refused]


@dataclass(frozen=True, slots=True)
class FileSource:
    """A data set: its name in the tables, what to give as ``--file``, and how it is read."""

    source: str
    file: str
    rows: Callable[[Path], Rows]


FILES: dict[str, FileSource] = {
    "hetrec": FileSource(
        hetrec.SOURCE, "the folder of the HetRec 2011 Last.fm-2k tables (hetrec_*.parquet)",
        hetrec.rows,
    ),
    "kaggle-tracks": FileSource(
        tracks_csv.SOURCE, "dataset.csv of Kaggle's Spotify Tracks Dataset (maharshipandya)",
        tracks_csv.rows,
    ),
    "lastfm-1k": FileSource(
        lastfm_1k.SOURCE,
        "userid-timestamp-artid-artname-traid-traname.tsv of Last.fm 1K (Celma; Zenodo 6090214)",
        lastfm_1k.rows,
    ),
    "mpd": FileSource(
        mpd.SOURCE, "a slice (mpd.slice.0-999.json) of the Million Playlist Dataset, or a folder",
        mpd.rows,
    ),
    "msd": FileSource(
        msd.SOURCE, "the Million Song subset as parquet",
        lambda path: ((TRACKS, row) for row in msd.rows(path)),
    ),
}  # fmt: skip


class Staged(msgspec.Struct):
    """Counts of new or changed rows by table, and of refused ones by reason."""

    written: dict[str, int]
    refused: dict[str, int]


def load(connection: psycopg.Connection[Any], name: str, path: Path | None) -> Staged:
    """Stage one data set.

    Raises
    ------
    ConfigurationError
        There is no file, or it is not this data set.
    """
    known = FILES[name]
    if path is None:
        raise ConfigurationError(f"segue collect {name} needs --file: {known.file}")
    loaders = {table.name: Loader(connection, table) for table in ALL}
    batches: dict[str, list[Row]] = {table.name: [] for table in ALL}
    refused: dict[str, int] = {}
    for each in known.rows(path):
        if isinstance(each, Refused):
            refused[each.reason] = refused.get(each.reason, 0) + 1
            reject(connection, known.source, "file", each.reason, each.detail, each.raw)
            continue
        table, row = each
        batches[table.name].append(row)
        if len(batches[table.name]) >= _BATCH:
            loaders[table.name].load(batches[table.name])
            batches[table.name] = []
    for target, rows in batches.items():
        loaders[target].load(rows)
    for loader in loaders.values():
        for reason, times in loader.loaded.rejected.items():
            refused[reason] = refused.get(reason, 0) + times
    return Staged({target: each.loaded.written for target, each in loaders.items()}, refused)
