"""Reasons: each is the score less the score without its source, and all add up to the score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_model import FEATURE_NAMES, ModelConfig, Recommender
from online_model.explaining import OTHER, SMALLEST
from online_model.features import EVIDENCE, SOURCES
from online_model.scoring import best_of_shortlist, describe, score
from online_model.scratch import SHORTLISTED, Scratch, find_slot
from online_model.state import Array, State

from .compiling import compiled
from .plays import made_up
from .views import view

#: More tracks than the second stage looks at, so that some have a score of the first alone.
WIDE = ModelConfig(tracks=400, listeners=50)
NOW = 300


@pytest.fixture(scope="module")
def frozen() -> Recommender:
    """A model that has learned, with the tables of the nightly run and of content filled."""
    model = Recommender(WIDE)
    model.learn_plays(*made_up(6_000, tracks=160, listeners=20))
    for track in range(1000, 1160):
        model.register_track(track, artist_key=1 + track % 12)
    near = {track: {track + 1: 0.9, track + 7: 0.4} for track in range(1000, 1150)}
    model.set_batch_table(view(near, generation=1))
    model.set_content_table(view(near, generation=1))
    # Weights the ranker has not learned yet: each source shall bear on the score.
    g = np.random.default_rng(3)
    model.state.linear[:] += g.normal(0, 0.2, model.state.linear.shape).astype(np.float32)
    model.state.hidden[:] += g.normal(0, 0.05, model.state.hidden.shape).astype(np.float32)
    model.state.output[:] += g.normal(0, 0.05, model.state.output.shape).astype(np.float32)
    return model


Window = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]


def window(model: Recommender, first: int = 1003, plays: int = 12) -> Window:
    return (
        np.arange(first, first + plays).astype(np.uint64),
        model.clock - 100 * np.arange(plays, 0, -1),
        np.array([100, 255, 20] * plays, np.uint8)[:plays],
    )


@compiled
def score_without(
    state: State,
    scratch: Scratch,
    task: int,
    now: int,
    slot: int,
    evidence: Array,
    facts: Array,
    out: Array,
) -> None:
    """Take a source's evidence for one candidate away, and score the whole list again."""
    for e in evidence:
        scratch.board.evidence[slot, e] = 0.0
    kept = scratch.context.copy()
    describe(state, scratch, now)
    for f in facts:
        scratch.features[f, slot] = 0.0
    scratch.context[:] = kept
    score(state, scratch, task)
    out[0] = scratch.scores[task, slot]
    out[1] = best_of_shortlist(scratch)
    out[2] = 0.0
    for q in range(scratch.board.tally[SHORTLISTED]):
        if scratch.short[q] == slot:
            out[2] = 1.0


@pytest.mark.parametrize("task", [0, 1])
def test_a_contribution_is_the_score_less_that_without_the_source(
    frozen: Recommender, task: int
) -> None:
    plays, now = window(frozen), frozen.clock + NOW
    discover = bool(task)
    ranking = frozen.recommend(*plays, now=now, k=40, discover=discover, explain=True)
    before, after, nothing = np.zeros(3), np.zeros(3), np.zeros(0, np.int64)
    met: dict[str, int] = dict.fromkeys(SOURCES, 0)
    for index, reasons in zip(ranking.indices.tolist(), ranking.reasons, strict=True):
        told = {reason.source: reason.contribution for reason in reasons}
        for name, source in SOURCES.items():
            frozen.recommend(*plays, now=now, k=40, discover=discover)
            state, scratch = frozen.state, frozen.scratch
            slot = find_slot(scratch.board, index)
            score_without(state, scratch, task, now, slot, nothing, nothing, before)
            evidence = np.array(source.evidence, np.int64)
            facts = np.array([FEATURE_NAMES.index(f) for f in source.facts], np.int64)
            score_without(state, scratch, task, now, slot, evidence, facts, after)
            if after[2] == 0.0 or after[1] != before[1]:
                continue  # without it the list would be another one, not only this score
            expected = before[0] - after[0]
            assert told.get(name, 0.0) == pytest.approx(expected, abs=SMALLEST + 1e-3)
            if name in told:
                assert told[name] == pytest.approx(expected, abs=1e-3)
                met[name] += 1
    # Discovery shows no track with a history.
    assert all(met[name] > 0 for name in SOURCES if not (discover and name == "history"))


@given(
    first=st.integers(1000, 1150),
    plays=st.integers(0, 60),
    ago=st.integers(0, 10**6),
    k=st.integers(1, 120),
    discover=st.booleans(),
    diversity=st.sampled_from([0.0, 0.5]),
)
@settings(deadline=None, max_examples=60)
def test_reasons_add_up_to_the_score(
    frozen: Recommender, first: int, plays: int, ago: int, k: int, discover: bool, diversity: float
) -> None:
    """Also where the second stage did not look, and for an unknown listener."""
    now = frozen.clock + ago
    ranking = frozen.recommend(
        *window(frozen, first, plays),
        now=now,
        k=k,
        discover=discover,
        diversity=diversity,
        explain=True,
    )
    assert len(ranking.reasons) == len(ranking)
    for shown, reasons in zip(ranking.scores.tolist(), ranking.reasons, strict=True):
        assert sum(reason.contribution for reason in reasons) == pytest.approx(shown, abs=1e-5)
        *named, rest = reasons
        assert rest.source == OTHER
        assert {reason.source for reason in named} <= set(SOURCES)
        assert named == sorted(named, key=lambda reason: -reason.contribution)
        assert all(abs(reason.contribution) >= SMALLEST for reason in named)


def test_one_track_is_explained_as_in_its_list(frozen: Recommender) -> None:
    plays, now = window(frozen), frozen.clock + NOW
    for discover in (False, True):
        ranking = frozen.recommend(*plays, now=now, k=100, discover=discover, explain=True)
        for at in (0, 5, 99):
            index = int(ranking.indices[at])
            one = frozen.explain(*plays, now=now, index=index, discover=discover)
            assert one is not None
            assert one.score == ranking.scores[at]
            assert [r.source for r in one.reasons] == [r.source for r in ranking.reasons[at]]
            for mine, listed in zip(one.reasons, ranking.reasons[at], strict=True):
                assert mine.contribution == pytest.approx(listed.contribution, abs=1e-4)
                assert mine.plays == listed.plays


def test_a_track_that_is_not_proposed_has_no_reasons(frozen: Recommender) -> None:
    unknown = frozen.register_track(77)
    plays, now = window(frozen), frozen.clock + NOW
    assert frozen.explain(*plays, now=now, index=unknown) is None
    # One the listener had: a reason for next plays, none for discovery.
    heard = int(frozen.lookup(plays[0][-1:])[0])
    assert frozen.explain(*plays, now=now, index=heard) is not None
    assert frozen.explain(*plays, now=now, index=heard, discover=True) is None


def test_explaining_changes_no_list(frozen: Recommender) -> None:
    plays, now = window(frozen), frozen.clock + NOW
    before = frozen.recommend(*plays, now=now, k=50)
    explained = frozen.recommend(*plays, now=now, k=50, explain=True)
    after = frozen.recommend(*plays, now=now, k=50)
    for other in (explained, after):
        assert other.indices.tolist() == before.indices.tolist()
        assert other.scores.tobytes() == before.scores.tobytes()
        assert other.features.tobytes() == before.features.tobytes()


def test_every_column_of_evidence_and_every_feature_belongs_to_a_source() -> None:
    columns = [e for source in SOURCES.values() for e in source.evidence]
    assert sorted(columns) == list(range(22))  # the last columns of EVIDENCE fill a cache line
    assert EVIDENCE - len(columns) < 4
    facts = [f for source in SOURCES.values() for f in source.facts]
    assert len(facts) == len(set(facts))
    assert set(facts) <= set(FEATURE_NAMES)


def test_the_plays_named_are_those_that_led_there(frozen: Recommender) -> None:
    model = Recommender(ModelConfig(tracks=50, listeners=10))
    g = np.random.default_rng(1)
    rounds = 40
    users = np.repeat(g.integers(1, 6, rounds), 3).astype(np.uint64)
    model.learn_plays(
        users,
        np.tile(np.array([1, 2, 3], np.uint64), rounds),
        1_700_000_000 + np.repeat(np.arange(rounds) * 7200, 3) + np.tile([0, 100, 200], rounds),
        np.full(3 * rounds, 255, np.uint8),
    )
    one, two, three = model.lookup([1, 2, 3]).tolist()
    now = model.clock + 5000
    ranking = model.recommend([3, 1, 2], [now - 9000, now - 200, now - 100], [255] * 3,
                              now=now, k=5, explain=True, just_played=2)  # fmt: skip
    reasons = {r.source: r for r in ranking.reasons[ranking.indices.tolist().index(three)]}
    follows = reasons["next"].plays
    assert [play.track for play in follows] == [two, one]
    assert follows[0].support == pytest.approx(rounds, rel=0.1)
    assert {play.track for play in reasons["session"].plays} == {one, two}
    assert [tuple(play) for play in reasons["history"].plays] == [(three, 1.0)]
