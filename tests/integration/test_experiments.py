"""Experiments through assignment, lake, dbt and report: the warehouse's sums are the listeners'."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from batch import warehouse
from batch.experiments.compare import compare, listeners_needed, paired
from batch.experiments.landing import EXPERIMENT_ARMS
from batch.experiments.moments import Moments
from batch.experiments.offpolicy import Exploring
from batch.experiments.offpolicy import judge as judge_policy
from batch.experiments.preference import Preferences, judge_preference
from batch.experiments.reading import experiments, interleaved
from batch.experiments.shown import Places, logged
from batch.experiments.sizes import Size, size
from batch.experiments.verdict import Facts, judge
from batch.lake import Lake
from batch.postgres_tables import replace, table_of
from batch.reports import KINDS
from batch.reports.report import Occasion, Report
from contracts.experiments import METRICS, Definition, arm_of, definition_of
from contracts.labels import DRAFTED as DRAFTED_FROM
from contracts.labels import label
from contracts.settings import Settings
from infra.operations.erasure.lake import forget
from infra.operations.erasure.target import Target
from online_model.exploration import IN_LINE, explore, seed_of
from tests.batch.lakes import START, append, delivery, shown

pytestmark = [pytest.mark.integration, pytest.mark.slow]
_DAY = 24 * 60
#: When the figures are judged: after the planned end.
JUDGED = datetime(2025, 3, 21)  # noqa: DTZ001  the warehouse keeps UTC without zone
#: Experiments of which no arm changes anything.
SAME = 300
#: Days after START at which the experiment ``over`` was planned to end.
OVER = 5
#: Interleaved experiments: one without a difference, one in which the arm's tracks are liked more.
DRAFTED = ("drafted-same", "drafted-better")
LISTENERS = [f"listener-{n}" for n in range(600)]


def drafted(key: str) -> Definition:
    made = json.loads(msgspec.json.encode(definition(key)))
    fixed = {"design": "interleaved", "layer": "interleaved", "metric": "preference"}
    return definition_of(json.dumps(made | fixed | {"guardrails": []}))


def definition(key: str, end: str = "2025-03-20T00:00:00Z") -> Definition:
    arms = [{"name": f"arm{n}", "weight": 0.5} for n in range(2)]
    return definition_of(
        json.dumps(
            {
                "key": key,
                "layer": key,
                "hypothesis": "None.",
                "metric": "hit_through",
                "planned_end": end,
                "arms": arms,
            }
        )
    )


def land_arms(settings: Settings, *definitions: Definition) -> None:
    """Land the arms as if the experiments had been started a day after START."""
    start, now = START + timedelta(days=1), datetime.now(UTC)
    rows = [
        (
            *(d.key, d.layer, d.hypothesis, d.metric, ",".join(d.guardrails)),
            arm.name,
            at,
            arm.weight,
            *(start, d.planned_end, None, now),
        )
        for d in definitions
        for at, arm in enumerate(d.arms)
    ]
    with warehouse.connect(settings, read_only=False) as connection:
        replace(connection, "experiment_arms", table_of(rows, EXPERIMENT_ARMS))


class Truth(NamedTuple):
    """What a listener did since their first list of the experiment ``better``.

    ``early`` lists were shown before the planned end of ``over``.
    """

    lists: int
    hits: int
    plays: int
    early: int


def fill(settings: Settings, made: list[Definition]) -> dict[str, Truth]:
    """Write ten days of listening; tastes and arms decide whether a list is played.

    Every play from a list arrives twice, some land three days late, one listener in ten changes
    the arm of ``moved``, and one listener is erased.
    """
    truth: dict[str, Truth] = {}
    draw = random.Random(11)
    plays: list[dict[str, Any]] = []
    lists: list[dict[str, Any]] = []
    for who, user in enumerate(LISTENERS):
        listed: list[tuple[float, bool]] = []
        taste = draw.betavariate(2, 4)
        arms = {d.key: arm.name for d in made if (arm := arm_of(d, user))}
        lost = arms["uneven"] == "arm1" and draw.random() < 0.4
        said = ";".join(
            label(key, arm) + ("!" if (key, arm) == ("broken", "arm1") else "")
            for key, arm in arms.items()
            if key not in DRAFTED and not (lost and key == "uneven")
        )
        chance = min(1.0, taste + 0.35 * (arms["better"] == "arm1"))
        for number in range(3 + int(draw.expovariate(0.2))):
            minute = draw.uniform(0, 10 * _DAY)
            before = minute < _DAY
            tracks = [f"T{draw.randrange(30)}", f"U{draw.randrange(30)}"]
            rows = shown(
                user,
                tracks,
                minute,
                arm="default" if before else _moved(said, who, number),
                degraded=draw.random() < 0.1,
            )
            teams = {key: draw.randrange(2) for key in DRAFTED}
            fell_back = draw.random() < 0.05
            for place, row in enumerate(rows if not before else ()):
                for key, team in teams.items():
                    of = f"arm0{DRAFTED_FROM}arm1!" if fell_back else f"arm{team ^ place}+"
                    row["arm"] += f";{key}={of}"
            lists += rows
            # The track of arm 1 of the better of both is played two times in three.
            liked = (0 if teams["drafted-better"] else 1) ^ (draw.random() < 1 / 3)
            hit = draw.random() < (taste if before else chance)
            if hit:
                heard = 200_000 if number % 3 else 5_000
                play = delivery(
                    user, tracks[liked], minute + 5, ms_played=heard, duration_ms=210_000,
                    impression_id=rows[0]["impression_id"],
                    landed=minute + (3 * _DAY if number % 5 == 0 else 6),
                )  # fmt: skip
                plays += [play, dict(play, kafka_offset=play["kafka_offset"] + 10**6)]  # sent twice
            plays.append(delivery(user, f"O{draw.randrange(9)}", minute + 90, ms_played=100_000))
            listed.append((minute, hit))
        truth[user] = _truth(listed)
    for number in range(40):
        explored = shown("explorer", [f"T{n}" for n in range(4)], 6 * _DAY + number)
        chances = explore(4 + IN_LINE, 4, 0.25, seed_of(explored[0]["impression_id"]))[1]
        for row, chance in zip(explored, chances.tolist(), strict=True):
            row["propensity"] = chance
        lists += explored
    # A list that lost a track: its draws cannot be made again, and it is left out.
    first, second = shown("explorer", ["T1", "T2"], 7 * _DAY)
    lists += [first | {"propensity": 0.75}, second | {"propensity": 0.25 / 13}]
    lists += shown("tester", ["T1", "T2"], 5 * _DAY, arm="better=arm1?")
    lists += shown("erased", ["T1", "T2"], 5 * _DAY, arm="better=arm1")
    plays.append(delivery("erased", "T1", 5 * _DAY + 5))
    append(settings, plays)
    append(settings, lists, "impressions")
    assert forget(settings, Target("erased", 0)) == {"impressions": 2, "plays": 1}
    return truth


def _moved(labels: str, who: int, number: int) -> str:
    """Return the labels of a list; every second list of some listeners has the other arm."""
    if who % 10 or number % 2:
        return labels
    own, other = ("arm0", "arm1") if "moved=arm0" in labels else ("arm1", "arm0")
    return labels.replace(f"moved={own}", f"moved={other}")


def _truth(listed: list[tuple[float, bool]]) -> Truth:
    """Return what came of lists, ``(minute, hit)``, from the first one after the start."""
    since = min((minute for minute, _ in listed if minute >= _DAY), default=math.inf)
    hits = [hit for minute, hit in listed if minute >= since]
    others = sum(minute + 90 >= since for minute, _ in listed)
    from_lists = sum(hit and minute + 5 >= since for minute, hit in listed)
    early = sum(since <= minute < OVER * _DAY for minute, _ in listed)
    return Truth(len(hits), sum(hits), others + from_lists, early)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    """The warehouse's results for three hundred experiments without and three with an effect."""
    settings = Settings(home=tmp_path_factory.mktemp("experiments"))
    same = [definition(f"same-{n}") for n in range(SAME)]
    made = [*same, definition("better"), definition("broken"), definition("uneven")]
    made += [drafted(key) for key in DRAFTED]
    made.append(definition("roken"))  # the end of another key: a label is compared whole
    made.append(definition("moved"))
    made.append(definition("over", (START + timedelta(days=OVER)).isoformat()))
    _TRUTH.update(fill(settings, made))
    warehouse.land(settings, Lake.newest(settings))
    land_arms(settings, *made)
    built = warehouse.build(settings)
    assert built.ok, built.failed
    with warehouse.asking(settings) as ask:
        facts = {f.experiment: f for f in experiments(ask)}
        drawn = KINDS["experiments"].draw(ask, Occasion(JUDGED.date(), JUDGED.replace(tzinfo=UTC)))
        rows = ask("select b.user_id, b.arm, b.lists_hit, b.lists, b.plays, coalesce(o.lists, 0)"
                   " from marts.fct_experiment_listeners as b"
                   " left join marts.fct_experiment_listeners as o"
                   " on b.user_id = o.user_id and o.experiment = 'over'"
                   " where b.experiment = 'better'")  # fmt: skip
        _PLACES.append(logged(ask))
        _SIZE.append(size(ask, "hit_through", 0.1))
        _DRAFTED.update({p.experiment: p for p in interleaved(ask)})
    assert len(facts) + len(_DRAFTED) == len(made)
    _REPORT.append(drawn)
    _ROWS.extend(rows)
    return facts


_PLACES: list[Places] = []
_SIZE: list[Size] = []
_DRAFTED: dict[str, Preferences] = {}
_REPORT: list[Report] = []
_ROWS: list[tuple[Any, ...]] = []
_TRUTH: dict[str, Truth] = {}


def test_every_listener_is_in_the_arm_of_the_definition(found: dict[str, Facts]) -> None:
    made = definition("better")
    assert len(_ROWS) > 0.9 * len(LISTENERS)
    for user, arm, *_ in _ROWS:
        given = arm_of(made, user)
        assert given is not None
        assert given.name == arm
    users = {row[0] for row in _ROWS}
    assert "tester" not in users, "a forced list does not count"
    assert "erased" not in users


def test_late_plays_count_and_repeated_ones_count_once(found: dict[str, Facts]) -> None:
    """Lists, lists that were played and plays of every listener are those that were written.

    Lists after the planned end of an experiment do not count.
    """
    assert {u: Truth(lists, hits, *rest) for u, _, hits, lists, *rest in _ROWS} == {
        user: truth for user, truth in _TRUTH.items() if truth.lists
    }
    assert sum(truth.early for truth in _TRUTH.values()) > len(LISTENERS)


def test_listeners_whose_arm_changed_are_left_out_and_counted(found: dict[str, Facts]) -> None:
    moved = found["moved"]
    assert 40 <= moved.seen_twice <= 60, "nearly each tenth of 600 has lists of both kinds"
    counted = sum(each.n for each in moved.moments["hit_through"].values())
    assert counted == sum(moved.listeners.values()) == len(_ROWS) - moved.seen_twice
    sentences = judge(moved, JUDGED).sentences
    assert f"{moved.seen_twice} listeners saw lists of two arms and are left out." in sentences


def test_sums_are_those_of_the_listeners(found: dict[str, Facts]) -> None:
    for arm in ("arm0", "arm1"):
        rows = [(hit, lists, 0, 0) for _, name, hit, lists, *_ in _ROWS if name == arm]
        expected, sums = Moments.from_rows(rows), found["better"].moments["hit_through"][arm]
        assert sums.n == expected.n
        np.testing.assert_allclose(sums.sums[:2], expected.sums[:2])
        np.testing.assert_allclose(sums.products[:2, :2], expected.products[:2, :2])


def test_where_nothing_differs_little_is_found(found: dict[str, Facts]) -> None:
    """The fixed interval alarms about once in twenty for every metric; the other less."""
    for metric in METRICS:
        made = [
            compare(found[f"same-{n}"].moments[metric]["arm0"],
                    found[f"same-{n}"].moments[metric]["arm1"])
            for n in range(SAME)
        ]  # fmt: skip
        compared = [c for c in made if c is not None]
        assert len(compared) == SAME
        alarms = sum(c.fixed.excludes_zero for c in compared)
        bound = 3 * math.sqrt(0.05 * 0.95 * SAME)
        assert alarms <= 0.05 * SAME + bound, metric
        if not metric.startswith("returned"):  # nearly everybody returned: little to be wrong about
            assert alarms >= 0.05 * SAME - bound, metric
        assert sum(c.always.excludes_zero for c in compared) <= 0.05 * SAME, metric


def test_an_effect_is_found_and_said(found: dict[str, Facts]) -> None:
    verdict = judge(found["better"], JUDGED)
    assert verdict.readable
    assert verdict.sentences[0].startswith("arm1: hit_through is better than the control")


def test_a_preference_is_found_where_there_is_one(found: dict[str, Facts]) -> None:
    verdict = judge_preference(_DRAFTED["drafted-better"], JUDGED)
    assert verdict.sentences[0].startswith("Listeners prefer the tracks of arm1 to those of arm0")
    same = judge_preference(_DRAFTED["drafted-same"], JUDGED)
    assert "No preference between arm0 and arm1" in same.sentences[0]
    for facts in _DRAFTED.values():
        assert 0.02 < facts.fell_back < 0.08
        assert facts.moments.sums[0] + facts.moments.sums[2] > 500, "plays are credited"
        assert facts.first_control + facts.first_arm == facts.moments.sums[1]


def test_the_size_of_an_experiment_comes_from_the_same_figures(found: dict[str, Facts]) -> None:
    made = _SIZE[0]
    assert made.active >= len(LISTENERS)
    arms = found["same-0"].moments["hit_through"]
    usual = listeners_needed(arms["arm0"] + arms["arm1"], 0.1)
    assert made.listeners == pytest.approx(2 * usual, rel=0.5)
    assert "hit_through is 0." in made.sentence


def test_uneven_arms_are_not_read(found: dict[str, Facts]) -> None:
    verdict = judge(found["uneven"], JUDGED)
    assert not verdict.readable
    assert "Do not read the figures" in verdict.sentences[0]


def test_lists_that_fell_back_are_said(found: dict[str, Facts]) -> None:
    verdict = judge(found["broken"], JUDGED)
    assert verdict.readable
    assert any("could not be made" in sentence for sentence in verdict.sentences)
    assert found["roken"].fell_back == {"arm0": 0.0, "arm1": 0.0}
    assert found["broken"].fell_back == {"arm0": 0.0, "arm1": pytest.approx(1.0)}


def test_places_that_explored_are_read_from_the_warehouse(found: dict[str, Facts]) -> None:
    places = _PLACES[0]
    assert len(places.hit) == 40 * 4, "the lists of the explorer, and no other"
    assert 20 <= places.explored.sum() <= 60
    assert places.share == pytest.approx([0.25] * 160)
    assert places.left_out == 1
    assert judge_policy(places, Exploring(0.0)).refusal


def test_the_report_says_the_same(found: dict[str, Facts]) -> None:
    tables = {table.key: table.records() for table in _REPORT[0].tables}
    (row,) = [
        r for r in tables["comparisons"] if (r["experiment"], r["role"]) == ("better", "primary")
    ]
    moments = found["better"].moments["hit_through"]
    comparison = compare(moments["arm0"], moments["arm1"])
    assert comparison is not None
    assert row["difference"] == pytest.approx(comparison.difference.value)
    assert {r["experiment"] for r in tables["arms"]} == {*found, *DRAFTED}
    (row,) = [r for r in tables["comparisons"] if r["experiment"] == "drafted-better"]
    made = paired(_DRAFTED["drafted-better"].moments)
    assert made is not None
    assert row["metric"] == "preference"
    assert row["difference"] == pytest.approx(made.difference.value)
