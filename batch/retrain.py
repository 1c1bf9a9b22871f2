"""Retraining: from `fct_plays` to a published generation of the batch view, or a reason why not.

The model is judged before it is trusted: fitted without the newest day, it must find that day's
discoveries better than popularity does, and not much worse than the generation in service. Only
then is it fitted on everything and put into service.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse

from batch import snowflake_warehouse
from batch.suspects import suspects, without
from batch.training import ease, ials
from batch.training.evaluation import linear, metrics, popularity, ranks
from batch.training.interactions import RatedTracks
from batch.training.neighbours import TrainedNeighbours
from batch.warehouse import connect
from contracts import batch_view
from contracts.batch_view import BatchView, Manifest
from contracts.errors import IncompatibleState
from contracts.ids import track_key
from contracts.settings import Settings

#: Up to this many tracks EASE is better and affordable (8 n^2 bytes); beyond it, iALS.
MOST_FOR_EASE = 10_000
#: Listeners a model is judged by: enough for a standard error below 0.01.
MOST_JUDGES = 2_000
#: Fewer discoveries on the held-out day than this say nothing: the model is published unjudged.
ENOUGH_TO_JUDGE = 50
#: Share of the hit rate in service below which a new model is refused.
TOLERATED = 0.9
#: Generations kept for roll-back.
KEPT = 7
#: Of iALS from the factors of all days but the newest; from nothing it takes ten.
ITERATIONS_OF_A_DAY = 3
_DAY = 86_400


class Outcome(msgspec.Struct, kw_only=True):
    """What retraining came to: a generation, or the reason why none was published."""

    published: int | None
    reason: str
    metrics: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The plays of the warehouse as interactions over distinct track keys.

    Attributes
    ----------
    keys
        Track key of each item, ascending; shape ``(items,)``, uint64.
    """

    pairs: RatedTracks
    keys: npt.NDArray[np.uint64]


_TRACKS = (
    "select song_key, artist, title from marts.dim_tracks where song_key <> '-1' order by song_key"
)
_PAIRS = (
    "with numbered as (select song_key, row_number() over (order by song_key) - 1 as n "
    "from marts.dim_tracks where song_key <> '-1'), listeners as ("
    "select user_id, row_number() over (order by user_id) - 1 as u "
    "from marts.dim_listeners where is_current and user_id <> '-1' and {people}) "
    "select u, n, cast(floor(epoch(max(played_at))) as bigint) as newest from marts.fct_plays "
    "join numbered using (song_key) join listeners using (user_id) "
    "where is_counted group by u, n"
)


def load(settings: Settings, target: str = "duckdb") -> Catalogue:
    """Read every (listener, track) pair with its newest play.

    A track that came under several ids is one item here: keys are made from names. Suspects
    (:mod:`batch.suspects`) are left out: what no person played is neither learned nor popular.
    """
    pairs = _PAIRS.format(people=without(suspects(settings)))
    if target == "duckdb":
        with connect(settings) as connection:
            tracks = connection.execute(_TRACKS).fetchall()
            answer = connection.execute(pairs)
            listeners, numbers, seconds = (
                np.asarray(column, np.int64) for column in answer.fetchnumpy().values()
            )
    else:
        with snowflake_warehouse.asking(settings) as ask:
            tracks = ask(_TRACKS)
        listeners, numbers, seconds = snowflake_warehouse.whole_numbers(settings, pairs)
    names = np.array([track_key(artist, title) for _, artist, title in tracks], np.uint64)
    keys, item_of = np.unique(names, return_inverse=True)
    return Catalogue(_distinct(listeners, item_of[numbers], seconds, len(keys)), keys)


def _distinct(
    users: npt.NDArray[np.int64],
    items: npt.NDArray[np.intp],
    seconds: npt.NDArray[np.int64],
    total: int,
) -> RatedTracks:
    """Keep the newest of several rows of one pair."""
    order = np.lexsort((seconds, items, users))
    users, items, seconds = users[order], items[order], seconds[order]
    last = np.ones(len(users), bool)
    last[:-1] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    shape = (int(users[-1]) + 1 if len(users) else 0, total)
    return RatedTracks(
        users[last].astype(np.int32), items[last].astype(np.int32), seconds[last], shape
    )


def retrain(
    settings: Settings,
    *,
    lake_version: int | None = None,
    run: str = "",
    target: str = "duckdb",
) -> Outcome:
    """Train, judge and publish; the view in service stays where the new one is refused.

    Parameters
    ----------
    run
        The nightly run this belongs to. If it was killed between writing a generation and putting
        it into service, the resumed run does only the latter.
    target
        The warehouse whose marts are read.
    """
    catalogue = load(settings, target)
    pairs = catalogue.pairs
    if len(pairs.users) == 0 or len(catalogue.keys) < 2:
        return Outcome(published=None, reason="fewer than two tracks: nothing to learn")
    folder = settings.paths.batch_view
    until = int(pairs.seconds.max()) * 1000
    newest = _newest(folder)
    if newest is not None and run and newest.run == run:
        batch_view.promote(folder, newest.generation)
        return Outcome(published=newest.generation, reason="made before this run was killed")
    # Not the generation in service: an operator who rolled back had a reason, which only new plays
    # may change.
    if newest is not None and newest.plays_until == until:
        return Outcome(
            published=None, reason=f"no play is newer than generation {newest.generation}"
        )
    verdict = _judge(folder, catalogue)
    if verdict.refusal:
        return Outcome(published=None, reason=verdict.refusal, metrics=verdict.metrics)
    fitted = _fit(pairs.matrix(), verdict.fitted)
    generation = max(batch_view.generations(folder), default=0) + 1
    manifest = Manifest(
        generation=generation,
        algorithm=fitted.algorithm,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        lake_version=lake_version,
        plays_until=until,
        listeners=pairs.shape[0],
        tracks=pairs.shape[1],
        metrics=verdict.metrics,
        run=run,
    )
    batch_view.write(
        folder, BatchView(catalogue.keys, fitted.table.targets, fitted.table.weights, manifest)
    )
    batch_view.promote(folder, generation)
    batch_view.prune(folder, KEPT)
    rates = [f"{k} {v:.4f}" for k, v in verdict.metrics.items() if "hr@10" in k]
    judged_by = ", ".join(rates) or "too little to judge by"
    reason = f"{fitted.algorithm} over {pairs.shape[1]:,} tracks; {judged_by}"
    return Outcome(published=generation, reason=reason, metrics=verdict.metrics)


def _newest(folder: Path) -> Manifest | None:
    """Return the manifest of the newest generation that can be read."""
    for generation in reversed(batch_view.generations(folder)):
        with contextlib.suppress(IncompatibleState):
            return batch_view.read(folder, generation).manifest
    return None


def _in_service(folder: Path) -> BatchView | None:
    """Return the view in service; one that cannot be read must not keep a new one out."""
    generation = batch_view.current(folder)
    if generation is not None:
        with contextlib.suppress(IncompatibleState):
            return batch_view.read(folder, generation)
    return None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and what the next fit over nearly the same plays may start from."""

    algorithm: str
    table: TrainedNeighbours
    factors: ials.Factors | None = None


def _fit(matrix: sparse.csr_matrix, judged: Fitted | None = None) -> Fitted:
    """Fit the model of the size; ``judged`` is the one of all days but the newest."""
    if len(ease.kept_items(matrix)) <= MOST_FOR_EASE:
        return Fitted("ease", ease.fit(matrix))
    if judged is not None and judged.factors is not None:
        factors = ials.factorise(matrix, start=judged.factors, iterations=ITERATIONS_OF_A_DAY)
    else:
        factors = ials.factorise(matrix)
    return Fitted("ials", ials.neighbours(factors, matrix.shape[1]), factors)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a model that was fitted without the newest day.

    Attributes
    ----------
    metrics
        ``<model>.<metric>`` -> value; empty where the day has too few discoveries to judge by.
    refusal
        Why nothing is published; empty: publish.
    fitted
        The model that was judged.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    refusal: str = ""
    fitted: Fitted | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """The plays before the newest day, and what known listeners discovered on that day.

    Attributes
    ----------
    began
        When the day began, ms since 1970.
    """

    training: RatedTracks
    answers: RatedTracks
    began: int


def _judge(folder: Path, catalogue: Catalogue) -> Verdict:
    """Fit without the newest day and compare with popularity and the view in service."""
    trial = _newest_day(catalogue.pairs)
    if len(trial.answers.users) < ENOUGH_TO_JUDGE:
        return Verdict()
    fitted = _fit(trial.training.matrix())
    history = trial.training.matrix(half_life_days=None)
    models = {"popularity": popularity(history), "new": linear(fitted.table.matrix())}
    view = _in_service(folder)
    # One that was trained on the day itself has seen the answers.
    if view is not None and view.manifest.plays_until < trial.began:
        models["in_service"] = linear(_renumbered(view, catalogue.keys))
    answers = trial.answers.matrix(half_life_days=None)
    found = {
        f"{name}.{metric}": round(value, 5)
        for name, model in models.items()
        for metric, value in metrics(ranks(model, history, answers)).items()
    }
    return Verdict(found, _refusal(found), fitted)


def _newest_day(pairs: RatedTracks) -> Trial:
    """Set the newest day's discoveries apart, of at most :data:`MOST_JUDGES` listeners."""
    day = int(pairs.seconds.max()) // _DAY
    training, held = pairs.split(pairs.seconds // _DAY == day)
    # Only listeners with a history can be judged by it.
    judges = np.intersect1d(held.users, training.users)
    if len(judges) > MOST_JUDGES:
        judges = np.random.default_rng(day).choice(judges, MOST_JUDGES, replace=False)
    _, answers = held.split(np.isin(held.users, judges))
    return Trial(training, answers, day * _DAY * 1000)


def _refusal(found: Mapping[str, float]) -> str:
    """Return why a model with these metrics is not published; empty: publish it."""
    ours, popular = found["new.hr@10"], found["popularity.hr@10"]
    if ours < popular:
        return f"refused: hit rate {ours:.4f} is below popularity's"
    before = found.get("in_service.hr@10", 0.0)
    if ours < TOLERATED * before:
        return f"refused: hit rate {ours:.4f} against {before:.4f} in service"
    return ""


def _renumbered(view: BatchView, keys: npt.NDArray[np.uint64]) -> sparse.csr_matrix:
    """Return the weights of a view between the tracks of another catalogue."""
    place = np.searchsorted(keys, view.keys)
    place[place == len(keys)] = 0
    there = keys[place] == view.keys
    rows, slots = np.nonzero(view.neighbours >= 0)
    targets = view.neighbours[rows, slots]
    both = there[rows] & there[targets]
    return sparse.csr_matrix(
        (
            view.weights[rows, slots][both],
            (place[rows[both]], place[targets[both]]),
        ),
        shape=(len(keys), len(keys)),
    )
