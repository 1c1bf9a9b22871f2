"""Contracts of sources: each promise, broken on purpose, is named; a good source is quiet."""

from __future__ import annotations

from typing import Any

import pytest

from batch.collectors.files import FILES
from batch.collectors.run import APIS
from batch.staging.data_contracts import CONTRACTS, broken
from batch.staging.tables import ARTISTS, TRACKS

GOOD: dict[str, Any] = {
    "rows": {"staged_tracks": 1000},
    "plays": 0,
    "completeness": {f"staged_tracks.{column}": 1.0 for column in TRACKS.values},
    "age_days": 1.0,
    "failure_rate": 0.0,
    "refused": 0,
    "drift": 0,
}


def test_every_source_has_one_and_names_columns_there_are() -> None:
    assert {*APIS, *(each.source for each in FILES.values())} <= set(CONTRACTS)
    columns = {f"{table.name}.{column}" for table in (ARTISTS, TRACKS) for column in table.values}
    for contract in CONTRACTS.values():
        assert set(contract.complete) <= columns
        assert all(0 < share <= 1 for share in contract.complete.values())


@pytest.mark.parametrize("source", [*CONTRACTS, "somebody"])
def test_a_good_source_is_quiet(source: str) -> None:
    assert broken(source, **GOOD) == []


@pytest.mark.parametrize(
    ("source", "defect", "said"),
    [
        ("kaggle-spotify", {"completeness": {"staged_tracks.energy": 0.3}}, "know energy, 95%"),
        ("spotify", {"age_days": 9.0}, "nothing new for 9 days"),
        ("lastfm", {"failure_rate": 0.02}, "2.0% of calls failed"),
        ("lastfm", {"drift": 4}, "4 differences"),
        ("msd", {"refused": 20}, "20 records refused beside 1000"),
    ],
)
def test_each_broken_promise_is_named(source: str, defect: dict[str, Any], said: str) -> None:
    assert said in "; ".join(broken(source, **{**GOOD, **defect}))


def test_plays_are_taken_though_they_are_not_staged() -> None:
    refused = {**GOOD, "rows": {}, "refused": 150}
    assert broken("lastfm", **refused) == ["150 records refused beside 0 taken"]
    assert broken("lastfm", **{**refused, "plays": 5000}) == []


def test_a_few_rows_say_nothing() -> None:
    few = {**GOOD, "rows": {"staged_tracks": 60}, "completeness": {}, "refused": 30}
    assert broken("kaggle-spotify", **few) == []


def test_files_do_not_age_and_absent_tables_promise_nothing() -> None:
    assert broken("hetrec", **{**GOOD, "age_days": 5000.0}) == []
    assert (
        broken("kaggle-spotify", **{**GOOD, "rows": {"staged_artists": 3}, "completeness": {}})
        == []
    )
