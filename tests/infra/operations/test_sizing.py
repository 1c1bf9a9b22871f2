"""The calculator gives back what was measured, and names the limits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from infra.cli.main import cli
from infra.operations.sizing import DAY, Load, size


def at_rate(plays_per_second: float, **more: float) -> Load:
    return Load(
        plays_per_day=plays_per_second * DAY, listeners=10_000, tracks=10_000, peak=1, **more
    )


def test_the_measured_run_of_single_plays_comes_back() -> None:
    """5,693 plays a second were acknowledged; each cost the processes 271 us together."""
    found = size(at_rate(5_693, lists_per_play=0))
    assert sum(part.cores for part in found.parts) == pytest.approx(5_693 * 271e-6, rel=0.01)
    assert all("nightly" in limit for limit in found.limits)


def test_the_measured_model_and_nights_come_back() -> None:
    found = size(Load(plays_per_day=1, listeners=65_536, tracks=65_536))
    assert found.model_bytes == pytest.approx(445e6, rel=0.01)
    for plays, seconds, held in ((1e6, 47.6, 1_032e6), (3e6, 88.7, 1_848e6), (1e7, 189.6, 4_344e6)):
        night = size(Load(plays_per_day=plays, listeners=1, tracks=1, days=1))
        assert (night.night_seconds, night.night_bytes) == pytest.approx((seconds, held))
    assert size(Load(1, listeners=1, tracks=1)).night_seconds > 0


def test_the_measured_disks_come_back() -> None:
    """98,855 real plays with names took 23.9 MB of log, 6.7 of lake, 37.3 of history."""
    found = size(Load(98_855, listeners=1, tracks=1, lists_per_play=0, days=1, kept_days=1))
    measured = (23_853_145, 6_735_756, 37_257_216)
    for bytes_, there in zip(
        measured, (found.log_bytes, found.lake_bytes, found.history_bytes), strict=True
    ):
        assert there == pytest.approx(bytes_, rel=0.02)


def test_limits_are_named() -> None:
    """The learner is one process: a billion plays a day are more than it can learn."""
    limits = "\n".join(size(Load(1e9, 50e6, 1e7)).limits)
    assert "learner: one process follows the whole log: at most 10,169 plays/s" in limits
    assert "use Snowflake" in limits
    assert size(Load(20_000, 500, 20_000)).limits == []


def test_sinks_share_a_load_that_is_too_much_for_one_process() -> None:
    """At 60 % of a core a process of the lake sink bears 50,000 plays a second, of the history
    sink 28,571."""
    found = size(at_rate(60_000, lists_per_play=0))
    processes = {part.name: part.processes for part in found.parts}
    assert (processes["lake-sink"], processes["history-sink"]) == (2, 3)
    assert [note.partition(":")[0] for note in found.notes] == ["lake-sink", "history-sink"]
    assert all("SEGUE_SHARED_SINKS=1" in note for note in found.notes)
    assert not [limit for limit in found.limits if "-sink" in limit]
    assert size(at_rate(20_000, lists_per_play=0)).notes == []
    for part in found.parts:
        if part.name in ("api", "listeners", "lake-sink", "history-sink"):
            assert part.cores / part.processes <= 0.6


def test_more_processes_than_partitions_are_a_limit() -> None:
    limits = size(at_rate(1_000_000, lists_per_play=0)).limits
    assert any(limit.startswith("listeners: 74 processes need as many part") for limit in limits)
    assert not any("-sink" in limit for limit in limits)  # 20 and 35 processes


@given(
    plays=st.floats(1, 1e9), listeners=st.floats(1, 1e8), tracks=st.floats(1, 1e7),
    factor=st.floats(1, 100),
)  # fmt: skip
def test_more_of_anything_never_needs_less(
    plays: float, listeners: float, tracks: float, factor: float
) -> None:
    small = size(Load(plays, listeners, tracks))
    large = size(Load(plays * factor, listeners * factor, tracks * factor))
    for one, other in zip(small.parts, large.parts, strict=True):
        assert one.cores <= other.cores
        assert one.processes <= other.processes
    assert small.night_seconds <= large.night_seconds
    assert small.redis_bytes <= large.redis_bytes
    assert small.model_bytes <= large.model_bytes
    assert {limit.partition(":")[0] for limit in small.limits} <= {
        limit.partition(":")[0] for limit in large.limits
    }


def test_the_command_answers_people_and_programs() -> None:
    asked = ["size", "--plays-per-day", "2000000", "--listeners", "100000", "--tracks", "500000"]
    text = CliRunner().invoke(cli, asked)
    assert text.exit_code == 0
    assert "At the peak: 69 plays/s, 7 lists/s" in text.output
    found = json.loads(CliRunner().invoke(cli, [*asked, "--json"]).output)
    assert {part["name"] for part in found["parts"]} >= {"api", "learner", "kafka"}
    asked[2] = "3000000000"
    text = CliRunner().invoke(cli, asked)
    assert "note: lake-sink: its processes share the partitions with" in text.output


def test_a_load_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        size(Load(0, 1, 1))
    refused = CliRunner().invoke(
        cli, ["size", "--plays-per-day", "1", "--listeners", "-5", "--tracks", "1"]
    )
    assert refused.exit_code != 0
