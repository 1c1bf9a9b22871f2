"""Records of nightly runs, and their lock."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from batch.nightly import DEFINITIONS, STEPS, _is_redefined, _resume, nightly
from batch.runs import NightlyRun, Runs, Step
from contracts.errors import ConfigurationError, IncompatibleState, StoreUnavailable
from contracts.settings import Settings

DAY = date(2025, 3, 4)


def _run(number: int, target: str = "duckdb") -> NightlyRun:
    return NightlyRun(
        id=f"2025-03-03-{target}-{number:03d}",
        date="2025-03-03",
        target=target,
        started_at=f"2025-03-03T0{number}:00:00.000+00:00",
        steps=[Step(name="land", status="ok", rows={"raw.plays": 3})],
    )


def test_records_come_back_as_they_were_in_order(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    assert runs.all() == []
    assert runs.last("duckdb") is None
    later, earlier, other = _run(2), _run(1), _run(3, "snowflake")
    for run in (later, earlier, other):
        runs.save(run)
    assert runs.all() == [earlier, later, other]
    assert runs.last("duckdb") == later


def test_ids_count_up_within_a_day(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    assert runs.next_id("2025-03-03", "duckdb") == "2025-03-03-duckdb-001"
    runs.save(_run(1))
    assert runs.next_id("2025-03-03", "duckdb") == "2025-03-03-duckdb-002"
    assert runs.next_id("2025-03-04", "duckdb") == "2025-03-04-duckdb-001"


def test_a_torn_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"id": ')
    with pytest.raises(IncompatibleState, match=r"x\.json"):
        Runs(tmp_path).all()


def test_two_runs_do_not_overlap(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "home" / "runs")
    with runs.lock(), pytest.raises(StoreUnavailable, match=f"process {os.getpid()}"):  # noqa: SIM117
        with Runs(tmp_path / "home" / "runs").lock():
            pass
    with runs.lock():
        pass  # free again


def killed(names: Iterable[str] = STEPS) -> NightlyRun:
    """Return a run of :data:`DAY` that was killed before its first step ended."""
    return NightlyRun(
        id="2025-03-04-duckdb-001",
        date=DAY.isoformat(),
        target="duckdb",
        started_at="2025-03-04T04:00:00.000+00:00",
        definitions=DEFINITIONS,
        steps=[Step(name=name) for name in names],
    )


def test_a_killed_run_is_resumed_unless_more_is_asked_of_it(settings: Settings) -> None:
    last = killed()
    assert _resume(settings, replace(last, definitions=1), DAY, full_refresh=False) is None
    assert _resume(settings, last, DAY, full_refresh=False) is last
    assert _resume(settings, last, DAY, full_refresh=True) is None
    last.full_refresh = True
    for asked in (False, True):
        assert _resume(settings, last, DAY, full_refresh=asked) is last


@pytest.mark.parametrize("names", [list(STEPS)[:-1], list(reversed(STEPS)), [*STEPS, "more"]])
def test_a_killed_run_of_other_steps_is_not_resumed(settings: Settings, names: list[str]) -> None:
    assert _resume(settings, killed(names), DAY, full_refresh=False) is None


def test_a_price_that_is_none_is_said_before_anything_is_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_CPU_HOUR_PRICE", "0,10")
    with pytest.raises(ConfigurationError, match="SEGUE_CPU_HOUR_PRICE='0,10' must be a number"):
        nightly(settings)
    assert not (settings.home / "runs").exists()


def test_tables_of_another_meaning_are_built_from_nothing(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    assert not _is_redefined(runs, "duckdb")
    old = replace(_run(1), definitions=1, steps=[Step(name="build", status="ok")])
    runs.save(old)
    runs.save(
        replace(_run(2), definitions=DEFINITIONS, steps=[Step(name="build", status="failed")])
    )
    assert _is_redefined(runs, "duckdb")
    assert not _is_redefined(runs, "snowflake")
    runs.save(replace(_run(3), definitions=DEFINITIONS, steps=[Step(name="build", status="ok")]))
    assert not _is_redefined(runs, "duckdb")
