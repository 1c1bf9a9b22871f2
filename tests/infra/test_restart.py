"""When a dead process may come back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from infra.stack.restart import FIRST_DELAY, LAST_DELAY, PROVED_AFTER, Ward


def test_first_start_is_no_restart_and_later_ones_are_counted() -> None:
    ward = Ward()
    ward.started(0.0)
    assert ward.restarts == 0
    ward.died(1.0)
    ward.started(2.0)
    assert ward.restarts == 1
    assert ward.due is None


def test_delay_doubles_until_the_process_proves_itself() -> None:
    ward = Ward()
    now = 0.0
    delays = []
    for _ in range(8):
        ward.started(now)
        delays.append(ward.died(now + 0.1))
        now += 0.1 + delays[-1]
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LAST_DELAY
    ward.started(now)
    assert ward.died(now + PROVED_AFTER) == FIRST_DELAY


def test_starts_that_fail_are_spaced_out_however_long_it_ran_before() -> None:
    ward = Ward()
    ward.started(0.0)
    now = 100 * PROVED_AFTER
    delays = [ward.died(now + n) for n in range(3)]  # it dies, then two starts fail
    assert delays == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=100))
def test_never_due_before_its_delay_and_always_after(lives: list[tuple[float, float]]) -> None:
    ward = Ward()
    now = 0.0
    for life, _ in lives:
        ward.started(now)
        assert not ward.is_due(now + 1e9)
        now += life
        delay = ward.died(now)
        assert FIRST_DELAY <= delay <= LAST_DELAY
        assert not ward.is_due(now + 0.99 * delay)
        now += 1.01 * delay
        assert ward.is_due(now)
    assert ward.restarts == max(0, len(lives) - 1)
