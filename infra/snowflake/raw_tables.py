"""SQL of the tables of RAW, made from the schemas of the lake and of what the nightly lands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from batch.experiments.landing import EXPERIMENT_ARMS
from batch.merges import PLAY_MERGES
from contracts.lake import CATALOGUE, TABLES

#: Columns of RAW besides those of the lake; the landing sink or COPY fills them.
METADATA = ("source_file", "file_row", "loaded_at")
#: What the nightly appends to RAW; all else there is the sink's alone.
OF_THE_NIGHTLY = {"play_merges": PLAY_MERGES, "experiment_arms": EXPERIMENT_ARMS, **CATALOGUE}
_COMMENTS = {
    "plays": "One row a delivery of a play",
    "feedback": "One row a love, hate, hide or undo",
    "impressions": "One row a track shown",
    "play_merges": "Which play is counted as part of which other; the last row of an event counts",
    "experiment_arms": "Arms of started experiments; landed_at distinguishes versions",
    "catalogue_artists": "Every name of an artist with genre, tags and popularity",
    "catalogue_tracks": "Every track of the catalogue with genre, year and audio features",
}
_TYPES = {
    pa.string(): "varchar",
    pa.bool_(): "boolean",
    pa.int32(): "number(10, 0)",
    pa.int64(): "number(19, 0)",
    pa.float32(): "float",
    pa.float64(): "float",
    pa.date32(): "date",
    pa.timestamp("ms", tz="UTC"): "timestamp_ltz(3)",
    pa.timestamp("us", tz="UTC"): "timestamp_ltz(6)",
    pa.list_(pa.float32()): "array",
}
_PIPE = """create pipe if not exists {schema}.{table}_PIPE
    comment = 'Called by the landing sink'
    as copy into {schema}.{table}
    from @{schema}.LANDING
    file_format = (type = parquet use_logical_type = true)
    match_by_column_name = case_insensitive
    include_metadata = (
        file_row = METADATA$FILE_ROW_NUMBER, loaded_at = METADATA$START_SCAN_TIME
    )"""


def raw_tables(schema: str) -> str:
    """Return the statements that make the tables of RAW and the pipes that the sink calls.

    Parameters
    ----------
    schema
        Full name: ``SEGUE.RAW``.
    """
    made = [*_tables(schema, TABLES, "LANDING"), *_tables(schema, OF_THE_NIGHTLY, "BATCH")]
    made += [_PIPE.format(schema=schema, table=name.upper()) for name in TABLES]
    return "".join(f"{statement};\n\n" for statement in made)


def _tables(schema: str, tables: Mapping[str, pa.Schema], stage: str) -> Iterator[str]:
    for name, columns in tables.items():
        lines = [
            f"    {each.name} {_TYPES[each.type]}{'' if each.nullable else ' not null'}"
            for each in columns
        ]
        lines += [
            f"    source_file varchar not null comment 'Path in the stage {stage}'",
            "    file_row number(19, 0) comment 'Row of the file'",
            "    loaded_at timestamp_ltz(3) comment 'When the file was read'",
        ]
        inside = ",\n".join(lines)
        yield (
            f"create table if not exists {schema}.{name.upper()} (\n{inside}\n)\n"
            f"    comment = '{_COMMENTS[name]}'"
        )
