"""Publishing: a reader finds the old report or the new one, never half of either.

A report lies under ``<reports>/<name>/`` under the day it was drawn for, such as
``2026-11-22.html``, ``.csv``, ``.json`` and ``.parquet``; the newest edition once more as
``latest.html`` and so on.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from batch.reports.render import FORMATS, render
from batch.reports.report import Report
from contracts.errors import ConfigurationError
from contracts.whole_files import write_whole


def publish(report: Report, folder: Path, day: date) -> list[Path]:
    """Write the report in every format, dated copy first, and return the paths written.

    An edition of a past day does not replace the latest one.
    """
    target = folder / report.name
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for form in FORMATS:
        content = render(report, form)
        dated = (path.stem for path in target.glob(f"????-??-??.{form}"))
        is_latest = all(other <= day.isoformat() for other in dated)
        for stem in (day.isoformat(), "latest") if is_latest else (day.isoformat(),):
            path = target / f"{stem}.{form}"
            write_whole(path, content)
            written.append(path)
    return written


def published(folder: Path, name: str, form: str) -> bytes:
    """Return the newest edition of a report.

    Raises
    ------
    ConfigurationError
        It was never published; the message names the command to run.
    """
    path = folder / name / f"latest.{form}"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(
            f"report {name} was never published to {folder}: run `segue nightly` first"
        ) from None
