"""Files that could not be loaded: which, why, and once more."""

from __future__ import annotations

import threading
from typing import Any

from contracts.lake import TABLES
from contracts.snowflake import Snowflake
from streams.snowflake_sink.landing import Landing
from streams.snowflake_sink.pipe import Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.stage import Stage


def listing(snowflake: Snowflake) -> list[dict[str, Any]]:
    """Return one row a file: table, file, rows, reason."""
    remote = Remote(threading.Event())
    found = []
    for table in TABLES:
        stage = Stage(snowflake, remote, table)
        found += [
            {"table": table, "file": file.path, "rows": file.rows, "reason": reason}
            for file, reason in stage.quarantined().items()
        ]
        stage.close()
    return found


def replay(snowflake: Snowflake) -> list[dict[str, Any]]:
    """Load them once more; return one row a table: rows loaded, files that stay."""
    remote = Remote(threading.Event())
    done = []
    for table in TABLES:
        stage = Stage(snowflake, remote, table)
        landing = Landing(stage, Pipe(snowflake, remote, table), remote, snowflake.silence_seconds)
        outcome = landing.replay()
        done.append({"table": table, "rows": outcome.rows, "quarantined": outcome.quarantined})
        stage.close()
    return done
