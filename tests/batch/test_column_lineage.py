"""Lineage by column, of models that sqlglot can read and of one that it cannot."""

from __future__ import annotations

from batch.column_lineage import ROWS, Source, column_lineage

KNOWN = {"raw.plays": ["event_id", "artist"]}


def test_stars_unions_and_counts_go_back_to_their_columns() -> None:
    found = column_lineage(
        {
            "staging.all": "select * from raw.plays union all select '', artist from raw.plays",
            "marts.counted": "select artist as name, count(*) as plays from staging.all group by 1",
        },
        KNOWN,
        "duckdb",
    )
    artist = Source("raw.plays", "artist")
    assert found["staging.all"] == {
        "event_id": [Source("raw.plays", "event_id")],
        "artist": [artist],
    }
    assert found["marts.counted"] == {
        "name": [Source("staging.all", "artist")],
        "plays": [Source("staging.all", ROWS)],
    }


def test_a_model_over_unknown_columns_has_no_lineage_and_stops_no_other() -> None:
    """dbt skips what depends on a failed model: then nothing was compiled, and stars stay stars."""
    found = column_lineage(
        {
            "staging.skipped": "",
            "marts.union": "select event_id, artist from raw.plays union all from staging.skipped",
            "marts.star": "select * from staging.skipped",
            "marts.fine": "select artist from raw.plays",
        },
        KNOWN,
        "duckdb",
    )
    assert found == {"marts.fine": {"artist": [Source("raw.plays", "artist")]}}
