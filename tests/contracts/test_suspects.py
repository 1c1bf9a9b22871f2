"""Who is suspect depends on the set of messages, not on their order or number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.suspects import (
    FINDING_DAYS,
    PATTERNS,
    RELEASED,
    Suspect,
    Suspects,
    decode,
    encode,
)

messages = st.builds(
    Suspect,
    user_id=st.sampled_from(["a", "b"]),
    pattern=st.sampled_from([*PATTERNS, RELEASED]),
    started_at=st.integers(0, 5),
    ended_at=st.integers(0, 9),
    plays=st.just(6),
)


def held(of: list[Suspect], *, at: float = 0.0) -> list[str]:
    suspects = Suspects(clock=lambda: at)
    for message in of:
        suspects.add(message)
    return list(suspects)


@given(
    st.lists(
        messages, max_size=8, unique_by=lambda m: (m.user_id, m.pattern, m.started_at)
    ).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found + found)))
)
def test_order_and_repeats_do_not_matter(both: tuple[list[Suspect], list[Suspect]]) -> None:
    once, shuffled = both
    assert held(once) == held(shuffled)


def found(pattern: str, ended: int) -> Suspect:
    return Suspect(user_id="a", pattern=pattern, started_at=ended, ended_at=ended, plays=6)


def test_what_is_found_after_a_release_counts_again() -> None:
    assert held([found("too-fast", 5), found(RELEASED, 5)]) == []
    assert held([found("too-fast", 5), found(RELEASED, 5), found("too-fast", 6)]) == ["a"]


def test_a_finding_counts_from_its_last_play_whenever_it_is_published() -> None:
    days = FINDING_DAYS * 86_400.0
    assert held([found("too-fast", 5_000)], at=days + 4) == ["a"]
    assert held([found("too-fast", 5_000)], at=days + 5) == []
    assert held([found(RELEASED, 5_000), found("too-fast", 5_001)], at=days) == ["a"]


def test_a_message_is_read_as_it_was_written() -> None:
    suspect = Suspect(user_id="a", pattern="too-fast", started_at=1, ended_at=2, plays=6)
    assert decode(encode(suspect)) == suspect
