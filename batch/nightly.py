"""The nightly: land a lake snapshot, check it, build, retrain, publish reports, tend the catalogue.

Each step can be run again without harm, and all of them read the lake version that the first one
pinned. A killed run resumes where it stopped. A failed one starts from scratch, because a newer
version may have repaired the cause.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from batch import described, lineage, quality
from batch.audit_head import audit_head
from batch.dbt_runner import Node
from batch.history_check import check_history
from batch.lake import Lake
from batch.night_lock import alone_tonight
from batch.reports import KINDS
from batch.reports import report as reports
from batch.reports.publish import publish
from batch.reports.report import Occasion
from batch.runs import NightlyRun, Runs, Step
from batch.target import TARGETS, Target
from contracts import object_store
from contracts.environ import read
from contracts.errors import ConfigurationError, SegueError, Terminal
from contracts.lake_tables import lake_place
from contracts.options import Costs
from contracts.publication import RUNS, Publication
from contracts.settings import Settings

log = logging.getLogger(__name__)

#: Tables whose rows a run records.
COUNTED = (
    "raw.plays",
    "stg_segue__plays",
    "stg_segue__plays_rejected",
    "stg_segue__impressions_rejected",
    "stg_segue__feedback_rejected",
    "fct_plays",
    "dim_listeners",
    "dim_tracks",
    "dim_artists",
    "dim_albums",
    "dim_dates",
    "fct_impressions",
    "fct_recommendation_outcomes",
    "fct_feedback",
)

#: Version of what the warehouse's tables mean. A build by another version starts from nothing: rows
#: of two meanings must not stand in one table. 2: songs and albums by folded names, counted plays.
#: 3: namesakes apart.
DEFINITIONS = 3

#: The test of the dbt project that finds plays which an incremental build has skipped.
COUNTS_EVERY_PLAY = "every_accepted_play_is_staged_and_in_fct_plays"


class StepFailed(Terminal):
    """A step refused its input; the message states what to look at."""


@dataclass(frozen=True, slots=True)
class NightlyState:
    """What the steps of one run share."""

    settings: Settings
    run: NightlyRun
    day: date
    progress: Callable[[str, str], None]
    publication: Publication

    @property
    def warehouse(self) -> Target:
        """The one that is built."""
        return TARGETS[self.run.target]


def nightly(
    settings: Settings,
    *,
    target: str = "duckdb",
    day: date | None = None,
    full_refresh: bool = False,
    until: str | None = None,
    progress: Callable[[str, str], None] = lambda step, word: None,
) -> NightlyRun:
    """Run every step and return the record, which is also written to ``<home>/runs``.

    Parameters
    ----------
    day
        The day reports look back from; today (UTC) by default.
    full_refresh
        Build incremental tables from scratch, for example after rows were removed from the lake.
        A killed run then resumes only if it was a full refresh too.
    until
        The last step to run; the run stays open, and the next call resumes it there. So an
        orchestrator runs the steps one by one.
    progress
        Called with (step, word) as the run proceeds, for progress bars.

    Raises
    ------
    StoreUnavailable
        Another nightly or an erasure is running, or object storage does not answer.
    ConfigurationError
        There is no such target or step, the price of an hour is no number, or object storage
        refuses the key.
    """
    if until is not None and until not in STEPS:
        raise ConfigurationError(f"no step {until!r}; choose from {', '.join(STEPS)}")
    if target not in TARGETS:
        raise ConfigurationError(f"target {target!r} is unknown: choose {' or '.join(TARGETS)}")
    price = read(Costs).cpu_hour_price
    day = day or datetime.now(UTC).date()
    object_store.check(settings)
    publication = Publication(settings)
    runs = Runs(settings.paths.runs)
    with alone_tonight(settings):
        publication.pull()
        run = _resume(settings, runs.last(target), day, full_refresh) or NightlyRun(
            id=runs.next_id(day.isoformat(), target),
            date=day.isoformat(),
            target=target,
            started_at=_now(),
            full_refresh=full_refresh or _is_redefined(runs, target),
            definitions=DEFINITIONS,
            steps=[Step(name=name) for name in STEPS],
        )
        _go(NightlyState(settings, run, day, progress, publication), runs, until, price)
    return run


def _is_redefined(runs: Runs, target: str) -> bool:
    """Whether the tables were built by a version of this software that defined them otherwise."""
    built = runs.last_built(target)
    return built is not None and built.definitions != DEFINITIONS


def _resume(
    settings: Settings, last: NightlyRun | None, day: date, full_refresh: bool
) -> NightlyRun | None:
    """Return the last run if it was killed and its finished steps are still valid."""
    if last is None or last.status != "running" or last.date != day.isoformat():
        return None
    if [step.name for step in last.steps] != list(STEPS):
        return None
    if full_refresh and not last.full_refresh:
        return None
    if last.definitions != DEFINITIONS:
        return None
    here = last.target != "duckdb" or settings.paths.warehouse_file.exists()
    if last.step("land").status == "ok" and not here:
        return None
    log.info("resuming run %s", last.id)
    return last


def _go(night: NightlyState, runs: Runs, until: str | None, price: float | None) -> None:
    run = night.run
    for name, act in STEPS.items():
        step = run.step(name)
        if step.status == "ok":
            night.progress(name, "finished before")
            if name == until:
                return
            continue
        if run.status != "running":
            step.status = "skipped"
            continue
        step.status, step.started_at = "running", _now()
        runs.save(run)
        night.publication.merge(RUNS)
        night.progress(name, "running")
        started, busy = time.monotonic(), time.process_time()
        try:
            step.detail, step.rows = act(night)
            night.publication.merge()
            step.status = "ok"
        except Exception as error:  # the record must show every error
            known = isinstance(error, SegueError)
            if not known:
                log.exception("unexpected error in step %s", name)
            step.status = "failed"
            step.detail = str(error) if known else f"{type(error).__name__}: {error}"
            run.status, run.error = "failed", f"{name}: {step.detail}"
        step.seconds = round(time.monotonic() - started, 3)
        step.cpu_seconds = round(time.process_time() - busy, 3)
        step.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        log.info("step %s %s in %.1f s", name, step.status, step.seconds)
        night.progress(name, step.status)
        if name == until and run.status == "running" and name != list(STEPS)[-1]:
            runs.save(run)
            night.publication.merge(RUNS)
            return
    if run.status == "running":
        run.status = "ok"
    run.finished_at = _now()
    run.audit_head = audit_head(night.settings)
    run.seconds = round(sum(step.seconds or 0.0 for step in run.steps), 3)
    run.cpu_seconds = round(sum(step.cpu_seconds or 0.0 for step in run.steps), 3)
    if price is not None:
        run.cost = round(run.cpu_seconds / 3600 * price, 6)
    lineage.write(run, runs.lineage(run), night.settings)
    runs.save(run)
    night.publication.merge()


def _land(night: NightlyState) -> tuple[str, dict[str, int]]:
    merged = removed = 0
    snapshots = {}
    lakes = Lake.all(night.settings)
    for name, lake in lakes.items():
        merged += lake.compact()
        removed += len(lake.vacuum())
        snapshots[name] = lake.on_disk()
    plays = snapshots["plays"]
    if plays is None or plays.rows == 0:
        night.run.status = "empty"
        return f"the lake {lake_place(night.settings)} holds no plays yet: nothing to do", {}
    night.warehouse.land(night.settings, snapshots)
    for name, lake in lakes.items():  # after the views: until then they read the older copies
        lake.drop_copies(snapshots[name])
    night.run.lake_version, night.run.lake_rows = plays.version, plays.rows
    night.run.lake_versions = {name: s.version for name, s in snapshots.items() if s}
    detail = f"version {plays.version}, {len(plays.files)} files"
    if merged or removed:
        detail += f"; {merged} small files merged, {removed} old ones removed"
    return detail, {f"raw.{name}": s.rows if s else 0 for name, s in snapshots.items()}


def _quality(night: NightlyState) -> tuple[str, dict[str, int]]:
    with night.warehouse.asking(night.settings) as ask:
        now = datetime.now(UTC)
        checks = quality.check_raw(ask, now)
        if night.run.target == "duckdb" and checks[0].ok:  # Snowflake: `segue snowflake compare`
            checks += [quality.check_fields(ask), check_history(night.settings, ask, now)]
        return _judge(night, checks), {}


def _judge(night: NightlyState, checks: list[quality.QualityCheck]) -> str:
    """Record the checks; return the warnings as text, or fail with every broken check."""
    night.run.checks = [c for c in night.run.checks if c.table not in {k.table for k in checks}]
    night.run.checks += checks
    broken = [check for check in checks if not check.ok]
    words = [quality.describe(check) for check in broken]
    points = quality.score(checks)
    night.run.points |= points
    if any(check.severity == "error" for check in broken) or min(points.values()) < quality.GATE:
        raise StepFailed("; ".join(words))
    return f"{min(points.values()):.0f} points; " + ("; ".join(words) or f"{len(checks)} checks")


def _build(night: NightlyState) -> tuple[str, dict[str, int]]:
    def heard(node: Node) -> None:
        night.progress("build", node.name)

    result = night.warehouse.build(
        night.settings, full_refresh=night.run.full_refresh, progress=heard
    )
    artifacts = night.warehouse.folder(night.settings) / "target"
    night.run.models = lineage.models(artifacts)
    if not result.ok:
        # A test that failed is shown beside what is drawn from its table.
        described.publish_warehouse(night.settings.paths, night.run, artifacts, [])
        words = [f"{node.name} {node.status} ({node.message})" for node in result.failed[:5]]
        if any(node.name == COUNTS_EVERY_PLAY for node in result.failed):
            words.append(
                "plays landed behind newer ones (a backfill, a mended lake): run it once with "
                "--full-refresh"
            )
        raise StepFailed(f"{'; '.join(words)}; the statements lie in {artifacts / 'run'}")
    with night.warehouse.asking(night.settings) as ask:
        word = _judge(night, quality.check_built(ask))
    rows = {table: night.warehouse.count(night.settings, table) for table in COUNTED}
    return f"{len(result.nodes)} models and tests in {result.seconds:.1f} s; {word}", rows


def _retrain(night: NightlyState) -> tuple[str, dict[str, int]]:
    from batch.retrain import retrain  # scipy: only when it is this step's turn

    outcome = retrain(
        night.settings,
        lake_version=night.run.lake_version,
        run=night.run.id,
        target=night.run.target,
    )
    if outcome.published is None:
        return outcome.reason, {}
    return f"generation {outcome.published}: {outcome.reason}", {"generation": outcome.published}


def _reports(night: NightlyState) -> tuple[str, dict[str, int]]:
    before = [run for run in Runs(night.settings.paths.runs).all() if run.id != night.run.id]
    nights = tuple(_told(run) for run in reversed(before[-30:]))
    occasion = Occasion(night.day, datetime.now(UTC), night.run.lake_version, nights)
    rows, drawn = {}, []
    paths = night.settings.paths
    with night.warehouse.asking(night.settings) as ask:
        for kind in KINDS.values():
            recording = described.Recording(ask)
            report = kind.draw(recording, occasion)
            publish(report, paths.reports, night.day)
            rows[kind.name] = len(report.tables[0].rows)
            drawn.append((report, list(recording.tables)))
            night.progress("reports", kind.name)
        described.publish_figures(ask, paths, night.run, _now())
    artifacts = night.warehouse.folder(night.settings) / "target"
    described.publish_warehouse(paths, night.run, artifacts, drawn)
    return f"published {', '.join(rows)}", rows


def _catalogue(night: NightlyState) -> tuple[str, dict[str, int]]:
    from batch.catalogue import night as catalogue  # scipy: only when it is this step's turn

    done = catalogue.night(
        night.settings, night.day, lambda word: night.progress("catalogue", word)
    )
    night.run.checks = [c for c in night.run.checks if not c.table.startswith("source.")]
    night.run.checks += done.checks
    return done.detail, done.rows


def _told(run: NightlyRun) -> reports.NightSummary:
    slowest = max(run.steps, key=lambda step: step.seconds or 0.0)
    return reports.NightSummary(
        run=run.id,
        status=run.status,
        seconds=run.seconds,
        slowest_step=slowest.name if slowest.seconds else "",
        peak_mb=max((step.peak_mb or 0 for step in run.steps), default=None),
        plays=run.lake_rows,
        trouble=run.error or "",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


STEPS: dict[str, Callable[[NightlyState], tuple[str, dict[str, int]]]] = {
    "land": _land,
    "quality": _quality,
    "build": _build,
    "retrain": _retrain,
    "reports": _reports,
    "catalogue": _catalogue,
}
