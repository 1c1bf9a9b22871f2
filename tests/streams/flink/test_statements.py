"""The SQL files can be read and filled, without Flink."""

from __future__ import annotations

import re

import pytest

from contracts.results import Late, Session, Trending, Uniques
from contracts.settings import Settings
from contracts.suspects import Suspect
from streams.flink.options import JOBS, parse
from streams.flink.statements import FOLDER, file_sink, interval, job, kafka_sink, statements

_MESSAGES = {
    "trending": Trending,
    "sessions": Session,
    "uniques": Uniques,
    "suspects": Suspect,
    "late": Late,
}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("batch", [False, True])
def test_a_job_is_tables_and_inserts_into_them(name: str, batch: bool) -> None:
    found = list(job(name, sink="'connector' = 'x'", run=3, batch=batch))
    tables = {m[1] for s in found if (m := re.match(r"CREATE TEMPORARY TABLE (\w+)", s))}
    filled = {re.match(r"INSERT INTO (\w+)", s)[1] for s in found if s[0] == "I"}  # type: ignore[index]
    assert tables == filled
    assert tables
    assert not any("${" in statement for statement in found)
    # A view is there before an insert reads it.
    kinds = [statement.split()[0] for statement in found]
    assert name == "trending" or kinds == sorted(kinds)


def test_only_the_way_of_counting_sessions_differs_in_batch() -> None:
    live, batch = (list(job("sessions", sink="", run=1, batch=b)) for b in (False, True))
    assert (live[0], live[-1]) == (batch[0], batch[-1])
    assert live[1] != batch[1]


@pytest.mark.parametrize("name", JOBS)
def test_columns_are_the_fields_of_the_contract(name: str) -> None:
    table = next(job(name, sink="", run=0))
    body = table[table.index("(") + 1 : table.rindex(") WITH")]
    flat = re.sub(r"<.*>", "", body, flags=re.DOTALL)
    columns = [column.split()[0].strip("`") for column in flat.split(",")]
    assert columns == ["key", *_MESSAGES[name].__struct_fields__]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.sql")), ids=lambda path: path.stem)
def test_a_file_begins_with_what_it_is_for(file: object) -> None:
    assert file.read_text().startswith("-- ")  # type: ignore[attr-defined]


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError):
        statements("source", topic="t")


@pytest.mark.parametrize("seconds", [1, 59, 3600, 90_061])
def test_intervals_have_two_digits_a_part(seconds: int) -> None:
    assert re.fullmatch(r"INTERVAL '\d+ \d\d:\d\d:\d\d' DAY TO SECOND", interval(seconds))


def test_sinks_are_at_least_once_or_files(tmp_path: object) -> None:
    assert "at-least-once" in kafka_sink("t", Settings(kafka="k:9092"))
    assert "filesystem" in file_sink(tmp_path)  # type: ignore[arg-type]


def test_an_unknown_job_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--jobs", "sessions,nonsense"])
    assert "no job nonsense" in capsys.readouterr().err
