"""Assignment is sticky, balanced, independent of partitions; senseless definitions are refused."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from contracts.errors import InvalidEvent
from contracts.experiments import (
    GUARDRAILS,
    METRICS,
    Arm,
    Definition,
    Overrides,
    arm_of,
    check_end,
    definition_of,
    fraction,
)
from contracts.ids import partition_of

GOOD: dict[str, Any] = {
    "key": "variety",
    "hypothesis": "More variety, more plays.",
    "metric": "plays_per_day",
    "planned_end": "2099-01-01T00:00:00Z",
    "arms": [
        {"name": "control", "weight": 0.5},
        {"name": "varied", "weight": 0.5, "overrides": {"diversity": 0.5}},
    ],
}
USERS = [f"listener-{i}" for i in range(20_000)]


def made(**changes: Any) -> Definition:
    return definition_of(msgspec.json.encode(GOOD | changes))


def arms(*weights: float) -> list[dict[str, Any]]:
    return [{"name": f"a{i}", "weight": weight} for i, weight in enumerate(weights)]


def changed(**overrides: Any) -> dict[str, Any]:
    return {"arms": [arms(0.5)[0], {"name": "b", "weight": 0.5, "overrides": overrides}]}


#: What makes :data:`GOOD` an interleaved experiment.
DRAFTED: dict[str, Any] = {
    "design": "interleaved",
    "layer": "interleaved",
    "metric": "preference",
    "guardrails": [],
}


def names(definition: Definition) -> list[str | None]:
    found = [arm_of(definition, user) for user in USERS]
    return [None if arm is None else arm.name for arm in found]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"arms": arms(0.5, 0.4)}, "add up to 0.9: they must add up to 1"),
        ({"arms": arms(1.0)}, "there are 1 arms"),
        ({"arms": arms(0.5, -0.5, 1.0)}, r"arms\[1\].weight is -0.5"),
        ({"arms": [*arms(0.5), *arms(0.5)]}, "two arms have the same name: a0, a0"),
        (
            {"arms": [arms(0.5)[0], arms(0.5)[0] | {"name": "b", "overrides": {"colour": 1}}]},
            r"arms\[1\].overrides.colour does not exist: choose from explore_share, diversity, "
            r"artist_cap, popularity, batch_view, batch_generation, content_view\.$",
        ),
        (
            {"arms": [arms(0.5)[0], arms(0.5)[0] | {"name": "b", "overrides": {"diversity": 2}}]},
            r"arms\[1\].overrides.diversity is 2: give a number from 0 to 1",
        ),
        (
            {"arms": [{"name": "c", "weight": 1.0, "overrides": {"popularity": True}}, *arms(0.5)]},
            "must add up to 1",
        ),
        (
            {"arms": [{"name": "c", "weight": 0.5, "overrides": {"popularity": True}}, *arms(0.5)]},
            "must not have overrides",
        ),
        (changed(batch_generation=0), r"arms\[1\].overrides.batch_generation is 0"),
        (changed(batch_generation=2, batch_view=False), "choose one"),
        (changed(shadow_weights=True), r"shadow_weights: .*0050-no-shadow-weights"),
        ({"layer": "interleaved"}, "is for interleaved experiments"),
        (DRAFTED | {"arms": arms(0.4, 0.6)}, "two arms of weight 0.5 each"),
        (DRAFTED | {"metric": "skip_rate"}, "an interleaved one has 'preference'"),
        (DRAFTED | {"guardrails": ["skip_rate"]}, r"must be \[\]"),
        (DRAFTED | {"layer": "lists"}, "must be 'interleaved'"),
        (DRAFTED | changed(explore_share=0.1), "do not explore"),
        ({"metric": "preference"}, "metric names 'preference'"),
        ({"design": "sideways"}, "sideways"),
        ({"metric": "happiness"}, "metric names 'happiness': choose from hit_through, relevance"),
        ({"guardrails": ["hit_through"]}, "guardrails names 'hit_through'"),
        ({"guardrails": ["skip_rate", "skip_rate"]}, "twice"),
        ({"share": 0}, "share is 0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"key": "Variety!"}, "key is 'Variety!'"),
        ({"layer": ""}, "layer is ''"),
        ({"hypothesis": " "}, "hypothesis is empty"),
        ({"planned_end": "2099-01-01T00:00:00"}, "no time zone"),
        ({"planned_end": "soon"}, "planned_end"),
        ({"unit": "list"}, "unknown field `unit`"),
        ({"arms": "control"}, r"Expected `array`, got `str` - at `\$.arms`"),
    ],
)
def test_a_senseless_definition_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidEvent, match=says):
        made(**changes)


def test_an_end_before_the_start_is_refused() -> None:
    says = (
        r"^planned_end 2020-01-01T00:00:00\+00:00 is not after the start "
        r"2026-01-01T00:00:00\+00:00: clone the experiment with a later end\.$"
    )
    with pytest.raises(InvalidEvent, match=says):
        check_end(made(planned_end="2020-01-01T00:00:00Z"), datetime(2026, 1, 1, tzinfo=UTC))


def test_a_definition_survives_its_json() -> None:
    definition = made()
    assert definition_of(msgspec.json.encode(definition)) == definition
    assert definition.arms[1] == Arm("varied", 0.5, Overrides(diversity=0.5))
    assert set(GUARDRAILS) < set(METRICS)


def test_arms_have_their_shares() -> None:
    found = Counter(names(made(arms=arms(0.2, 0.3, 0.5))))
    expected = [0.2 * len(USERS), 0.3 * len(USERS), 0.5 * len(USERS)]
    assert stats.chisquare([found[f"a{i}"] for i in range(3)], expected).pvalue > 0.001


def test_an_arm_does_not_follow_the_partition() -> None:
    table = Counter(zip(names(made()), (partition_of(u, 8) for u in USERS), strict=True))
    rows = [[table[arm, p] for p in range(8)] for arm in ("control", "varied")]
    assert stats.chi2_contingency(rows).pvalue > 0.001


def test_layers_are_independent() -> None:
    one, two = names(made(key="one", layer="a")), names(made(key="two", layer="b"))
    table = Counter(zip(one, two, strict=True))
    rows = [[table[a, b] for b in ("control", "varied")] for a in ("control", "varied")]
    assert stats.chi2_contingency(rows).pvalue > 0.001


def test_the_same_salt_gives_the_same_arms() -> None:
    assert names(made()) == names(made(key="variety-2", salt="variety"))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_greater_share_keeps_everybody(first: float, second: float) -> None:
    low, high = sorted((first, second))
    few, many = made(share=low), made(share=high)
    for user in USERS[:50]:
        arm = arm_of(few, user)
        assert arm is None or arm_of(many, user) == arm


def test_the_first_arm_keeps_its_members_while_it_grows() -> None:
    small, large = names(made(arms=arms(0.2, 0.8))), names(made(arms=arms(0.4, 0.6)))
    assert all(b == "a0" for a, b in zip(small, large, strict=True) if a == "a0")


@given(st.text(max_size=20), st.text(max_size=20))
@example("", "\ud800")
def test_every_name_has_a_place(salt: str, user: str) -> None:
    assert 0.0 <= fraction(salt, user) < 1.0


def test_the_place_of_a_listener_never_changes() -> None:
    """Other programs compute it too, and experiments outlive a release."""
    assert fraction("variety", "ada") == pytest.approx(0.9587687364566326, abs=1e-15)
    assert fraction("variety", "Zoë") == pytest.approx(0.058507054630996924, abs=1e-15)


def test_an_interleaved_experiment_is_taken() -> None:
    assert made(**DRAFTED).design == "interleaved"
    assert made(**DRAFTED | changed(batch_view=False, content_view=False))
