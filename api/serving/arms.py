"""Which experiments run, and what the arms of a listener change of a list.

Each process reads the definitions from PostgreSQL every few seconds; while PostgreSQL does not
answer, it keeps the last ones.
An arm is a function of the listener's name, so every API process gives a listener the same one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.background import end
from api.errors import ApiError
from api.serving.asked import LONGEST_REMEMBERED, Asked, parameters
from contracts.errors import InvalidEvent
from contracts.experiments import INTERLEAVED, Definition, Overrides, arm_of, definition_of
from contracts.labels import FELL_BACK, NO_ARM, both, label

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
#: Answers kept, of short queries only; then all are dropped and found again.
REMEMBERED = 65_536
_RUNNING = b"""
    select definition::text from experiments_v1
    where started_at is not null and ended_at is null order by key
"""


class Running(NamedTuple):
    """A running experiment with what any of its arms changes."""

    definition: Definition
    changes: frozenset[str]


class Arms:
    """Applies the arms of running experiments to what a request asks for.

    Attributes
    ----------
    running
        The experiments that run, by key.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._tasks: list[asyncio.Task[None]] = []
        self._asked: dict[tuple[str, bytes], Asked] = {}
        self.running: dict[str, Running] = {}

    def start(self) -> None:
        """Begin to follow the definitions."""
        self._tasks = [asyncio.ensure_future(self._follow())]

    async def stop(self) -> None:
        """Stop following them."""
        await end(self._tasks)

    async def refresh(self) -> None:
        """Read the definitions once.

        Raises
        ------
        psycopg.Error, PoolTimeout, OSError
            PostgreSQL does not answer.
        """
        async with self._pool.connection(timeout=1.0) as connection:
            rows = await (await connection.execute(_RUNNING)).fetchall()
        self.run([text for (text,) in rows])

    def run(self, definitions: Sequence[str]) -> None:
        """Take these definitions (JSON) as the ones that run.

        One that this version cannot read is left out: its listeners get the usual lists.
        """
        running = {}
        for text in definitions:
            try:
                definition = definition_of(text)
            except InvalidEvent as error:
                log.error("ignored an experiment whose definition cannot be decoded: %s", error)
                continue
            changes = frozenset().union(*(_changes(arm.overrides) for arm in definition.arms))
            running[definition.key] = Running(definition, changes)
        if running != self.running:
            log.info("running experiments: %s", ", ".join(running) or "none")
            self.running = running
            self._asked.clear()

    def asked(self, user: str, query: bytes) -> Asked:
        """Return what a query string asks for, with what the listener's arms change.

        Raises
        ------
        ApiError
            400 for a parameter that makes no sense.
        """
        if not self.running:
            return parameters(query)
        if len(query) > LONGEST_REMEMBERED:
            return self._find(user, query)
        found = self._asked.get((user, query))
        if found is None:
            found = self._find(user, query)
            if len(self._asked) >= REMEMBERED:
                self._asked.clear()
            self._asked[user, query] = found
        return found

    def forced(self, asked: Asked, experiment: str, arm: str) -> Asked:
        """Return what is asked with one arm of one experiment, whoever the listener is.

        Raises
        ------
        ApiError
            400: no such experiment runs, or it has no such arm.
        """
        running = self.running.get(experiment)
        if running is None:
            names = ", ".join(self.running) or "none"
            raise ApiError(
                400, "bad-parameter", f"No experiment {experiment!r} runs; running: {names}.",
                field="arm",
            )  # fmt: skip
        for known in running.definition.arms:
            if known.name == arm:
                return _with(asked, known.overrides, label(experiment, arm, forced=True))
        names = ", ".join(known.name for known in running.definition.arms)
        raise ApiError(
            400, "bad-parameter", f"Experiment {experiment!r} has the arms {names}.", field="arm"
        )

    def _find(self, user: str, query: bytes) -> Asked:
        asked, labels = parameters(query), []
        given = {"diversity"} if b"diversity=" in query else set()
        drafted: Overrides | None = None
        for key, (definition, changes) in self.running.items():
            if changes & given:
                continue  # the request decides itself what the experiment would change
            arm = arm_of(definition, user)
            if arm is None:
                continue
            if definition.design == INTERLEAVED:
                control, other = definition.arms
                labels.append(label(key, both(control.name, other.name)))
                drafted = other.overrides
            else:
                labels.append(label(key, arm.name))
                asked = _with(asked, arm.overrides, NO_ARM)
        if drafted is not None:  # both rankings have what the other experiments change
            asked = asked._replace(against=_with(asked, drafted, NO_ARM))
        return asked._replace(arm=";".join(labels)) if labels else asked

    async def _follow(self) -> None:
        while True:
            try:
                await self.refresh()
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning(
                    "experiments cannot be read from PostgreSQL; keeping the known ones: %s",
                    type(error).__name__,
                )
            await asyncio.sleep(EVERY_SECONDS)


def without_arms(asked: Asked, query: bytes) -> Asked:
    """Return what the request asks for by itself, marked: its arms' list could not be made."""
    marked = ";".join(f"{arm}{FELL_BACK}" for arm in asked.arm.split(";"))
    return parameters(query)._replace(arm=marked)


def _changes(overrides: Overrides) -> frozenset[str]:
    """Return the names of what the overrides change."""
    return frozenset(msgspec.to_builtins(overrides))


def _with(asked: Asked, overrides: Overrides, arm: str) -> Asked:
    """Return what is asked, changed by an arm."""
    return asked._replace(
        diversity=asked.diversity if overrides.diversity is None else overrides.diversity,
        explore=asked.explore if overrides.explore_share is None else overrides.explore_share,
        artist_cap=overrides.artist_cap or asked.artist_cap,
        popular=asked.popular or overrides.popularity,
        batch=overrides.batch_generation or (asked.batch if overrides.batch_view else 0),
        content=asked.content and overrides.content_view,
        arm=arm,
    )
