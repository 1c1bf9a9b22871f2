"""Which artists may be one: candidates with evidence, decisions, and merges that follow them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
import psycopg

from batch.catalogue.names import pairs, similarity
from batch.staging.load import unsettled
from contracts.errors import ConfigurationError
from contracts.recordings import spelled

#: How far each kind of likeness goes by itself.
_BASE = {"same-id": 1.0, "spelling": 0.9, "article": 0.75, "typo": 0.6}
#: Tags of two names must agree at least so far (cosine) for a merge without a person.
_TAGS_AGREE = 0.3
#: Different spellings shorter than this are too often different artists ("M.I.A." and "MIA").
_SHORTEST = 5
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RULE = "rule: one spelling, tags agree"


class Candidate(msgspec.Struct):
    """A pair of artists to decide on; ``pair`` names it, ``<id>+<id>``."""

    pair: str
    score: float
    left: str
    right: str
    evidence: dict[str, Any]


class Review(msgspec.Struct):
    """Candidates found and merges in force, after one run."""

    found: int = 0
    pending: int = 0
    merged: int = 0
    distinct: int = 0


def propose(connection: psycopg.Connection[Any]) -> Review:
    """Find candidates among all artists and apply the decisions.

    A pair with a decision keeps it. A pair is merged without a person only when the names differ
    in accents, punctuation and spaces alone, both have tags, and the tags agree; or when a source
    gives both the same MusicBrainz or Spotify id. Different MusicBrainz ids speak against every
    merge, and take one back that was made without a person before they were known.
    """
    rows = connection.execute("select artist_id::text, name from catalogue_artists").fetchall()
    names: dict[str, str] = dict(rows)
    ids = _ids(connection)
    found: dict[tuple[str, str], str] = {}
    for left, right, why in pairs(names):
        found[min(left, right), max(left, right)] = why
    for group in _sharing(ids):
        for index, left in enumerate(group):
            for right in group[index + 1 :]:
                found[min(left, right), max(left, right)] = "same-id"
    tags = _tags(connection, {entity for pair in found for entity in pair})
    with connection.transaction():
        for (left, right), why in found.items():
            agree = _cosine(tags.get(left), tags.get(right))
            conflict = _conflict(ids.get(left, set()), ids.get(right, set()))
            alike = similarity(names[left], names[right])
            score = _BASE[why] * (0.7 + 0.3 * alike)
            if agree is not None:
                score = 0.75 * score + 0.25 * agree
            score = round(score * (0.2 if conflict else 1.0), 4)
            safe = why == "same-id" or (
                why == "spelling"
                and len(spelled(names[left])) >= _SHORTEST
                and (agree or 0.0) >= _TAGS_AGREE
            )
            evidence = {"why": why, "names": alike, "tags": agree, "ids_conflict": conflict}
            connection.execute(
                "insert into catalogue_candidates "
                "(left_id, right_id, score, evidence, decision, decided_by, decided_at) "
                "values (%(left)s, %(right)s, %(score)s, %(evidence)s::jsonb, %(decision)s, "
                "%(by)s, case when %(by)s::text is not null then now() end) "
                "on conflict (left_id, right_id) do update "
                "set score = excluded.score, evidence = excluded.evidence, "
                "decision = excluded.decision, decided_by = excluded.decided_by, "
                "decided_at = excluded.decided_at where catalogue_candidates.decided_by is null "
                "or (catalogue_candidates.decided_by = %(rule)s and %(conflict)s)",
                {
                    "left": left,
                    "right": right,
                    "score": score,
                    "evidence": msgspec.json.encode(evidence).decode(),
                    "decision": "merge" if safe and not conflict else "pending",
                    "by": _RULE if safe and not conflict else None,
                    "rule": _RULE,
                    "conflict": conflict,
                },
            )
        apply_decisions(connection)
    counts = dict(
        connection.execute(
            "select decision, count(*) from catalogue_candidates group by decision"
        ).fetchall()
    )
    return Review(len(found), counts.get("pending", 0), counts.get("merge", 0),
                  counts.get("distinct", 0))  # fmt: skip


def decide(
    connection: psycopg.Connection[Any], left: str, right: str, decision: str, by: str
) -> None:
    """Record a person's decision (``merge`` or ``distinct``) on a candidate and apply it.

    Raises
    ------
    ConfigurationError
        There is no such candidate, or no such decision.
    """
    if decision not in ("merge", "distinct"):
        raise ConfigurationError(f"decision {decision!r}: choose merge or distinct")
    for each in (left, right):
        if not _UUID.fullmatch(each):
            raise ConfigurationError(
                f"{each!r} is not an artist's id; `segue catalogue review` lists the pairs"
            )
    with connection.transaction():
        changed = connection.execute(
            "update catalogue_candidates set decision = %s, decided_by = %s, decided_at = now() "
            "where (left_id, right_id) = (least(%s::uuid, %s::uuid), greatest(%s::uuid, %s::uuid))",
            (decision, by, left, right, left, right),
        ).rowcount
        if not changed:
            raise ConfigurationError(f"no candidate of {left} and {right}")
        apply_decisions(connection)
        unsettled(connection)


def pending(connection: psycopg.Connection[Any], limit: int = 30) -> list[Candidate]:
    """Return the pairs nobody has decided on, the likeliest first."""
    rows = connection.execute(
        "select left_id || '+' || right_id, score, a.name, b.name, evidence "
        "from catalogue_candidates c join catalogue_artists a on a.artist_id = left_id "
        "join catalogue_artists b on b.artist_id = right_id where decision = 'pending' "
        "order by score desc, left_id, right_id limit %s",
        (limit,),
    ).fetchall()
    return [Candidate(*row) for row in rows]


def apply_decisions(connection: psycopg.Connection[Any]) -> None:
    """Point every artist at the one kept of its group: the one most staged rows speak of."""
    parent: dict[str, str] = {}

    def root(entity: str) -> str:
        while (up := parent.get(entity, entity)) != entity:
            entity = up
        return entity

    merges = connection.execute(
        "select left_id::text, right_id::text from catalogue_candidates where decision = 'merge'"
    ).fetchall()
    groups: dict[str, list[str]] = defaultdict(list)
    for left, right in merges:
        parent[root(left)] = root(right)
    for entity in {entity for pair in merges for entity in pair}:
        groups[root(entity)].append(entity)
    connection.execute(
        "update catalogue_artists set merged_into = null where merged_into is not null"
    )
    for group in groups.values():
        kept, *others = connection.execute(
            "select a.artist_id from catalogue_artists a left join staged_tags t "
            "join catalogue_links l on (l.kind, l.source, l.source_key) = "
            "(t.kind, t.source, t.source_key) on l.entity_id = a.artist_id "
            "where a.artist_id = any(%s::uuid[]) group by a.artist_id "
            "order by coalesce(sum(t.weight), 0) desc, a.artist_id",
            (group,),
        ).fetchall()
        connection.execute(
            "update catalogue_artists set merged_into = %s where artist_id = any(%s)",
            (kept[0], [other[0] for other in others]),
        )


def _ids(connection: psycopg.Connection[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    query = (
        "select entity_id::text, scheme || ':' || value from catalogue_identities "
        "where kind = 'artist'"
    )
    for entity, value in connection.execute(query):
        found[entity].add(value)
    return found


def _sharing(ids: dict[str, set[str]]) -> list[list[str]]:
    by_value: dict[str, list[str]] = defaultdict(list)
    for entity, values in ids.items():
        for value in values:
            by_value[value].append(entity)
    return [sorted(group) for group in by_value.values() if len(group) > 1]


def _conflict(left: set[str], right: set[str]) -> bool:
    lefts = {value for value in left if value.startswith("mbid:")}
    rights = {value for value in right if value.startswith("mbid:")}
    return bool(lefts and rights and not lefts & rights)


def _tags(connection: psycopg.Connection[Any], entities: set[str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    rows = connection.execute(
        "select l.entity_id::text, t.tag, sum(t.weight) from staged_tags t "
        "join catalogue_links l on (l.kind, l.source, l.source_key) = "
        "(t.kind, t.source, t.source_key) where t.kind = 'artist' "
        "and l.entity_id = any(%s::uuid[]) group by 1, 2",
        (list(entities),),
    )
    for entity, tag, weight in rows:
        found[entity][tag] = float(weight)
    return found


def _cosine(left: dict[str, float] | None, right: dict[str, float] | None) -> float | None:
    if not left or not right:
        return None
    dot = sum(weight * right.get(tag, 0.0) for tag, weight in left.items())
    norms = np.linalg.norm(list(left.values())) * np.linalg.norm(list(right.values()))
    return round(float(dot / norms), 4)
