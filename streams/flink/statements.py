"""The SQL of the jobs: files under ``sql/``, with ``${names}`` for what a run decides.

A file holds statements separated by a semicolon at the end of a line; comments are lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Template

from contracts.plays import SESSION_GAP
from contracts.results import KINDS, WINDOWS
from contracts.settings import Settings
from streams.flink.connection import options, properties

FOLDER = Path(__file__).parent / "sql"
#: Lines of a trending list. By tag, readers choose from these.
PLACES = 1000
_ID = {"tracks": "track_id", "artists": "artist_id"}
_TITLE = {"tracks": "title", "artists": "''"}


def interval(seconds: int) -> str:
    """Return an SQL interval; ``SECOND`` alone takes two digits.

    Examples
    --------
    >>> interval(3600)
    "INTERVAL '0 01:00:00' DAY TO SECOND"
    """
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"INTERVAL '{days} {clock}' DAY TO SECOND"


# A millisecond short: a pause of exactly the gap begins a new session.
_GAP = interval(SESSION_GAP - 1).replace("' DAY TO SECOND", ".999' DAY TO SECOND(3)")


def statements(name: str, **values: object) -> list[str]:
    """Return the statements of a file with the names filled in.

    Raises
    ------
    KeyError
        The file names something that is not given.
    """
    lines = (FOLDER / f"{name}.sql").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    filled = Template(text).substitute(values)
    return [part.strip() for part in filled.split(";\n") if part.strip()]


def job(name: str, *, sink: str, run: int, batch: bool = False) -> Iterator[str]:
    """Yield the statements of one job: tables of results, views, and the inserts.

    What live and batch mode count differently is a view in ``<name>.live.sql`` and
    ``<name>.batch.sql``; the rest is shared.

    Parameters
    ----------
    name
        One of :data:`streams.flink.options.JOBS`.
    sink
        Options of the result table's connector.
    """
    if name == "trending":
        for kind in KINDS:
            for window, (size, slide) in WINDOWS.items():
                yield from statements(
                    name, sink=sink, run=run, kind=kind, window=window, id=_ID[kind],
                    title=_TITLE[kind], size=interval(60 * size), slide=interval(60 * slide),
                    places=PLACES,
                )  # fmt: skip
        return
    found = statements(name, sink=sink, run=run)
    inserts = [statement for statement in found if statement.startswith("INSERT")]
    yield from (statement for statement in found if statement not in inserts)
    own = f"{name}.{'batch' if batch else 'live'}"
    if (FOLDER / f"{own}.sql").exists():
        yield from statements(own, gap=_GAP, gap_ms=1000 * SESSION_GAP)
    yield from inserts


def kafka_sink(topic: str, settings: Settings) -> str:
    """Return the connector options of a topic of results.

    At least once: results become visible at once, not at the next checkpoint, and a job that ends
    badly leaves no open transaction that holds readers back. The keys make repeats harmless.
    """
    return options(
        {
            "connector": "kafka",
            "topic": topic,
            **properties(settings),
            "properties.compression.type": "lz4",
            "sink.delivery-guarantee": "at-least-once",
            "key.format": "raw",
            "key.fields": "key",
            "value.format": "json",
            "value.fields-include": "EXCEPT_KEY",
        }
    )


def file_sink(folder: Path) -> str:
    """Return the connector options of a folder of results, JSON lines."""
    return f"'connector' = 'filesystem', 'path' = '{folder.as_uri()}', 'format' = 'json'"
