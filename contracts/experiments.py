"""Experiments: what an arm may change, which definitions make sense, and who is in which arm.

A listener's arm is a function of the experiment's salt and the listener's name alone. So it needs
no storage, API, warehouse and clients compute the same, and it does not change while the experiment
runs. The hash is a 64-bit BLAKE2b: CRC-32, by which listeners get their partition, must not be used
here, because an arm would then hold whole partitions.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from contracts.errors import InvalidEvent

#: How an experiment shows its arms: each listener sees the lists of one, or each list is drafted
#: from both (:mod:`contracts.labels`).
SPLIT: Final = "split"
INTERLEAVED: Final = "interleaved"
#: What an interleaved experiment is judged by.
PREFERENCE: Final = "preference"

#: What an experiment can be judged by -> what it is, for people. Every one is a figure by listener.
METRICS: dict[str, str] = {
    "hit_through": "share of lists of which a track was played within the hour",
    "relevance": "share of plays from lists that were heard at least 30 s or half",
    "plays_per_day": "plays a day since the first list",
    "hours_per_day": "hours heard a day since the first list",
    "skip_rate": "share of plays from lists that were skipped",
    "discovery": "share of plays of songs the listener had never played before",
    "degraded": "share of lists made with something missing",
    "returned_next_day": "whether the listener played on the day after the first list",
    "returned_next_week": "whether the listener played in the seven days after the first day",
}
#: Metrics of which less is better.
LESS_IS_BETTER = frozenset({"skip_rate", "degraded"})
#: The metrics that may be guardrails, with the relative change for the worse that is tolerated.
GUARDRAILS: dict[str, float] = {
    "skip_rate": 0.05,
    "degraded": 0.2,
    "plays_per_day": 0.03,
    "hours_per_day": 0.03,
    "returned_next_day": 0.03,
}

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_TOLERANCE = 1e-9


class Overrides(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an arm changes of a list; what is not given stays as the API has it.

    Attributes
    ----------
    explore_share
        Probability with which a place of the list explores, 0 to 1.
    diversity
        0 to 1, as the parameter of the same name. A request that gives its own is left alone and
        does not count for the experiment.
    artist_cap
        Most tracks of one artist, 1 to 100.
    popularity
        The list of a listener nothing is known of: what is popular. The holdout that shows what
        personal lists are worth.
    batch_view
        ``False``: without the table of the nightly model. (``True`` is what the control has.)
    batch_generation
        The table of this generation of the nightly model (``segue model list``), 1 or more.
    content_view
        ``False``: without the table of what resembles what (same artist, tags).
    shadow_weights
        Refused; ADR 50 explains why there is no second set of ranker weights.

    Examples
    --------
    >>> msgspec.json.encode(Overrides(diversity=0.4, content_view=False))
    b'{"diversity":0.4,"content_view":false}'
    """

    explore_share: float | None = None
    diversity: float | None = None
    artist_cap: int | None = None
    popularity: bool = False
    batch_view: bool = True
    batch_generation: int | None = None
    content_view: bool = True
    shadow_weights: bool = False


class Arm(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One arm.

    Attributes
    ----------
    weight
        Share of the experiment's listeners, above 0; the weights of all arms add up to 1.

    Examples
    --------
    >>> check(Definition(key="variety", hypothesis="More variety, more plays.",
    ...     metric="plays_per_day", planned_end=datetime(2030, 1, 1).astimezone(),
    ...     arms=(Arm("control", 0.5), Arm("varied", 0.4, Overrides(diversity=0.4)))))
    Traceback (most recent call last):
    contracts.errors.InvalidEvent: the weights of the arms add up to 0.9: they must add up to 1.
    """

    name: str
    weight: float
    overrides: Overrides = Overrides()


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Definition of an experiment; the unit is the listener.

    Attributes
    ----------
    key
        Its name: lower-case letters, digits and hyphens.
    hypothesis
        What is expected and why, in words.
    arms
        The first is the control: it changes nothing, and the others are compared with it.
    metric
        One of :data:`METRICS`, chosen before the start; every other figure is a side view. An
        interleaved experiment has :data:`PREFERENCE`.
    planned_end
        When it is to be judged.
    guardrails
        Metrics that must not become worse; see :data:`GUARDRAILS`. An interleaved experiment has
        none: there is no group of listeners who see only one arm.
    layer
        Experiments of different layers run at the same time, independently; one layer runs one
        experiment at a time. Interleaved experiments have the layer ``interleaved``, because a list
        can be drafted from two rankings only.
    design
        ``split``: each listener sees the lists of one arm. ``interleaved``: each list is drafted
        from the lists of both arms, and plays are credited to the arm that picked the track.
    share
        Share of all listeners in the experiment, above 0 to 1.
    salt
        Decides with the listener's name who is in which arm. Empty: the key. Two experiments with
        one salt have the same listeners in arms of the same bounds.

    Examples
    --------
    >>> varied = definition_of('''{"key": "varied", "hypothesis": "More variety, more plays.",
    ...     "metric": "hit_through", "planned_end": "2027-01-01T00:00:00Z", "arms": [
    ...         {"name": "control", "weight": 0.5},
    ...         {"name": "varied", "weight": 0.5, "overrides": {"diversity": 0.4}}]}''')
    >>> varied.control.name
    'control'
    >>> arm_of(varied, "ada") == arm_of(varied, "ada")  # every process computes the same arm
    True
    """

    key: str
    hypothesis: str
    arms: tuple[Arm, ...]
    metric: str
    planned_end: datetime
    guardrails: tuple[str, ...] = ("skip_rate", "plays_per_day", "degraded")
    layer: str = "lists"
    share: float = 1.0
    salt: str = ""
    design: Literal["split", "interleaved"] = "split"

    @property
    def control(self) -> Arm:
        """The arm that changes nothing."""
        return self.arms[0]


class Experiment(msgspec.Struct, kw_only=True):
    """View ``experiments_v1``: a definition and how far it is.

    Attributes
    ----------
    definition
        JSON of a :class:`Definition`.
    """

    key: str
    layer: str
    definition: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


#: Adds a draft; returns nothing where the key is taken. Parameters ``key``, ``layer``,
#: ``definition`` (JSON).
CREATE = """
    select key from create_experiment(%(key)s, %(layer)s, %(definition)s::jsonb)
"""
#: Starts a draft; parameter ``key``. Returns ``(result, key of the experiment in its way)``, where
#: the result is ``started``, ``unknown``, ``not-a-draft`` or ``layer-taken``.
START = "select outcome, other from start_experiment(%(key)s)"
#: Ends a running experiment; parameter ``key``. Returns ``ended``, ``unknown`` or ``not-running``.
STOP = "select stop_experiment(%(key)s)"
#: Every experiment, those that run first, then the newest.
LIST = """
    select key, layer, definition::text, created_at, started_at, ended_at from experiments_v1
    order by started_at is not null and ended_at is null desc, created_at desc limit 500
"""
#: One experiment; parameter ``key``.
SHOW = """
    select key, layer, definition::text, created_at, started_at, ended_at from experiments_v1
    where key = %(key)s
"""


def state_of(started_at: datetime | None, ended_at: datetime | None) -> str:
    """Return ``draft``, ``running`` or ``ended``."""
    if started_at is None:
        return "draft"
    return "running" if ended_at is None else "ended"


def definition_of(text: str | bytes) -> Definition:
    """Return the definition in a JSON text, checked (:func:`check`).

    Raises
    ------
    InvalidEvent
        It is invalid; the message has the field, the problem and the remedy.
    """
    try:
        definition = msgspec.json.decode(text, type=Definition)
    except msgspec.MsgspecError as error:
        raise _wrong(_unknown_override(text) or str(error)) from None
    check(definition)
    return definition


class _AnyArm(msgspec.Struct):
    overrides: dict[str, Any] = {}


class _AnyDefinition(msgspec.Struct):
    arms: list[_AnyArm] = []


def _unknown_override(text: str | bytes) -> str:
    """Return which override does not exist, and those that do; empty if another field is wrong."""
    try:
        arms = msgspec.json.decode(text, type=_AnyDefinition).arms
    except msgspec.MsgspecError:
        return ""
    known = [name for name in Overrides.__struct_fields__ if name != "shadow_weights"]
    for at, arm in enumerate(arms):
        if unknown := [name for name in arm.overrides if name not in Overrides.__struct_fields__]:
            return (
                f"arms[{at}].overrides.{unknown[0]} does not exist: choose from {', '.join(known)}"
            )
    return ""


def check(definition: Definition) -> None:
    """Raise :class:`InvalidEvent` for an invalid definition."""
    _check_names(definition)
    _check_arms(definition.arms)
    if not 0.0 < definition.share <= 1.0:
        raise _wrong(f"share is {definition.share:g}: give a number above 0, at most 1")
    if definition.planned_end.tzinfo is None:
        raise _wrong("planned_end has no time zone: write it like 2026-12-24T00:00:00Z")
    if definition.design == INTERLEAVED:
        _check_interleaved(definition)
        return
    if definition.layer == INTERLEAVED:
        raise _wrong(f"layer {INTERLEAVED!r} is for interleaved experiments: choose another")
    _check_metric("metric", definition.metric, METRICS)
    for name in definition.guardrails:
        _check_metric("guardrails", name, GUARDRAILS)
    if len(set(definition.guardrails)) < len(definition.guardrails):
        raise _wrong("guardrails names a metric twice")


def _check_interleaved(definition: Definition) -> None:
    """Refuse settings that an interleaved experiment cannot have."""
    if len(definition.arms) != 2 or definition.arms[0].weight != definition.arms[1].weight:
        raise _wrong("an interleaved experiment has two arms of weight 0.5 each")
    if definition.metric != PREFERENCE:
        raise _wrong(f"metric is {definition.metric!r}: an interleaved one has {PREFERENCE!r}")
    if definition.guardrails:
        raise _wrong("guardrails of an interleaved experiment must be []: listeners see both arms")
    if definition.layer != INTERLEAVED:
        raise _wrong(f"layer of an interleaved experiment must be {INTERLEAVED!r}")
    if definition.arms[1].overrides.explore_share is not None:
        raise _wrong("arms[1].overrides.explore_share: interleaved lists do not explore")


def check_end(definition: Definition, start: datetime) -> None:
    """Raise :class:`InvalidEvent` if the experiment would end before it starts."""
    if definition.planned_end <= start:
        end = definition.planned_end.isoformat(timespec="seconds")
        raise _wrong(
            f"planned_end {end} is not after the start {start.isoformat(timespec='seconds')}: "
            "clone the experiment with a later end"
        )


def _check_names(definition: Definition) -> None:
    for field, name in (("key", definition.key), ("layer", definition.layer)):
        if not _KEY.fullmatch(name):
            raise _wrong(f"{field} is {name!r}: use 1 to 40 lower-case letters, digits and hyphens")
    if not definition.hypothesis.strip() or len(definition.hypothesis) > 2_000:
        raise _wrong("hypothesis is empty or longer than 2,000 characters: say what you expect")
    if len(definition.salt) > 100:
        raise _wrong("salt is longer than 100 characters")


def _check_arms(arms: Sequence[Arm]) -> None:
    if not 2 <= len(arms) <= 8:
        raise _wrong(f"there are {len(arms)} arms: give 2 to 8, the control first")
    names = [arm.name for arm in arms]
    for at, arm in enumerate(arms):
        where = f"arms[{at}]"
        if not _KEY.fullmatch(arm.name):
            raise _wrong(
                f"{where}.name is {arm.name!r}: use 1 to 40 lower-case letters, digits and hyphens"
            )
        if not (math.isfinite(arm.weight) and arm.weight > 0.0):
            raise _wrong(f"{where}.weight is {arm.weight:g}: give a number above 0")
        _check_overrides(f"{where}.overrides", arm.overrides)
    if len(set(names)) < len(names):
        raise _wrong(f"two arms have the same name: {', '.join(names)}")
    total = math.fsum(arm.weight for arm in arms)
    if abs(total - 1.0) > _TOLERANCE:
        raise _wrong(f"the weights of the arms add up to {total:g}: they must add up to 1")
    if arms[0].overrides != Overrides():
        raise _wrong("arms[0] is the control and must not have overrides")


def _check_overrides(where: str, overrides: Overrides) -> None:
    for name in ("explore_share", "diversity"):
        share = getattr(overrides, name)
        if share is not None and not 0.0 <= share <= 1.0:
            raise _wrong(f"{where}.{name} is {share:g}: give a number from 0 to 1")
    cap = overrides.artist_cap
    if cap is not None and not 1 <= cap <= 100:
        raise _wrong(f"{where}.artist_cap is {cap}: give a number from 1 to 100")
    generation = overrides.batch_generation
    if generation is not None and generation < 1:
        raise _wrong(f"{where}.batch_generation is {generation}: segue model list shows them")
    if generation is not None and not overrides.batch_view:
        raise _wrong(f"{where} takes a batch_generation and no batch_view: choose one")
    if overrides.shadow_weights:
        raise _wrong(
            f"{where}.shadow_weights: the ranker learns one set of weights "
            "(docs/adr/0050-no-shadow-weights.md); compare models by batch_generation"
        )


def _check_metric(field: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise _wrong(f"{field} names {name!r}: choose from {', '.join(known)}")


def _wrong(message: str) -> InvalidEvent:
    return InvalidEvent("bad-experiment", f"{message}.")


def fraction(salt: str, user: str) -> float:
    """Return the place of a listener in [0, 1): the first 53 of 64 bits of a salted hash.

    Examples
    --------
    >>> fraction("variety", "ada") == fraction("variety", "ada") != fraction("other", "ada")
    True
    """
    text = f"{salt}\x00{user}".encode("utf-8", "surrogatepass")
    code = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return (code >> 11) / float(1 << 53)


def arm_of(definition: Definition, user: str) -> Arm | None:
    """Return the arm of a listener; ``None`` for a listener outside the experiment.

    Raising ``share`` keeps all members. The arms divide [0, 1) in the given order, so the first arm
    keeps its members while its weight grows.

    Examples
    --------
    >>> from datetime import UTC
    >>> variety = Definition(
    ...     key="variety", hypothesis="More variety, more plays", metric="plays_per_day",
    ...     arms=(Arm("control", 0.5), Arm("varied", 0.5, Overrides(diversity=0.5))),
    ...     planned_end=datetime(2030, 1, 1, tzinfo=UTC))
    >>> [arm_of(variety, user).name for user in ("ada", "bob", "eve", "fay")]
    ['varied', 'varied', 'varied', 'control']
    """
    salt = definition.salt or definition.key
    if fraction(f"{salt}\x00share", user) >= definition.share:
        return None
    at, bound = fraction(salt, user), 0.0
    for arm in definition.arms:
        bound += arm.weight
        if at < bound:
            return arm
    return definition.arms[-1]  # the weights add up to a hair less than 1
