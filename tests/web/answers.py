"""What the API answers, filled: one of everything a page shows."""

from __future__ import annotations

import time
from typing import Any

TRACK = "aed54755-e3af-5cd5-b04b-c2907f62a616"
SPOTIFY = "spotify:track:4uLU6hMCjMI75M1A2tKUQC"
ARTIST = "7ae4fbca-d66a-5daa-b083-79fbf7b877d4"
EVENT = "5f2a91c0-0000-5000-8000-000000000001"
RUN = "2026-01-01-duckdb-1"
IMPORT = "5f2a91c0-0000-4000-8000-000000000003"
LETTER = "segue.plays:0:90"
WINDOW = "5f2a91c0"
ERASURE = "5f2a91c0-0000-4000-8000-000000000002"


def play(name: str, **changed: Any) -> dict[str, Any]:
    """Return one play of the history."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return {
        "event_id": EVENT, "played_at": now, "received_at": now, "artist": name, "title": name,
        "album": name, "track_id": TRACK, "ms_played": 1000, "duration_ms": 2000, "skipped": False,
        "source": "navidrome/0.53", "clients": ["navidrome", "web-scrobbler"],
    } | changed  # fmt: skip


def listing(name: str, **changed: Any) -> dict[str, Any]:
    """Return a list of two tracks."""
    tracks = [
        {"track_id": TRACK, "artist": name, "title": name, "score": 2.5},
        {"track_id": SPOTIFY, "artist": "B", "title": "C", "score": 1, "propensity": 0.0004},
    ]  # fmt: skip
    return {
        "user": "ada", "generation": 3, "offset": 21807, "degraded": False, "stranger": False,
        "window": WINDOW, "impression_id": EVENT, "recommendations": tracks,
    } | changed  # fmt: skip


def card(name: str) -> dict[str, Any]:
    """Return a track of the catalogue."""
    return {
        "track_id": TRACK, "title": name, "artist_id": ARTIST, "artist": name, "album": name,
        "year": 1998, "duration_ms": 215_000, "popularity": 0.9,
    }  # fmt: skip


def experiment(name: str, state: str = "running") -> dict[str, Any]:
    """Return an experiment of two arms."""
    at = "2026-01-01T03:00:00+00:00"
    arms = [{"name": "control", "weight": 0.5},
            {"name": "varied", "weight": 0.5, "overrides": {"diversity": 0.4}}]  # fmt: skip
    return {
        "key": "varied", "state": state, "created_at": at,
        "started_at": None if state == "draft" else at,
        "ended_at": at if state == "ended" else None,
        "definition": {
            "key": "varied", "hypothesis": name, "metric": "hit_through", "planned_end": at,
            "guardrails": ["skip_rate"], "layer": "lists", "share": 1.0, "salt": "", "arms": arms,
        },
    }  # fmt: skip


def judged(name: str, state: str = "running") -> dict[str, Any]:
    """Return an experiment with its result in a report."""
    row = {
        "experiment": "varied", "arm": name, "metric": "hit_through", "role": "primary",
        "control_value": 0.2, "arm_value": 0.22, "difference": 0.02, "low": -0.01, "high": 0.05,
        "relative": 0.1, "p": None, "variance_kept": 0.6,
    }  # fmt: skip
    none = {"control_value": 0.0, "relative": None, "metric": "skip_rate", "role": "guardrail"}
    return {
        "experiment": experiment(name, state), "judged_at": "2026-01-01T03:00:00+00:00",
        "verdict": [name], "comparisons": [row, row | none],
        "arms": [{"arm": "control", "listeners": 1_201}, {"arm": "varied", "listeners": 1_187}],
    }  # fmt: skip


def operations(**changed: Any) -> dict[str, Any]:
    """Return the state of a deployment in which one worker is behind and one is silent."""
    known = {
        "topic": "segue.plays", "partition": 0, "position": 90, "end": 100, "lag": 10, "why": "",
    }  # fmt: skip
    silent = known | {"partition": 1, "position": None, "lag": None, "why": "it does not report"}
    worker = {
        "name": "listeners", "trouble": "", "pid": 1, "heard_ms_ago": 400,
        "applied_per_second": 5.2, "lag": 10, "partitions": [known],
    }  # fmt: skip
    return {
        "at": int(time.time() * 1000), "dependencies": {"kafka": "ok", "redis": "away"},
        "workers": [
            worker,
            worker | {"name": "learner", "trouble": "silent for 40 s", "lag": None,
                      "applied_per_second": None, "partitions": [known, silent]},
        ],
        "lists": {"count": 12, "p50_ms": 1.0, "p99_ms": None}, "impressions_lost": 1,
        "event_streams": 2, "disk_free_bytes": 10**10, "disk_total_bytes": 10**11,
        "model_generation": 3, "plays_learned": 21807,
    } | changed  # fmt: skip


def what_if(name: str) -> dict[str, Any]:
    """Return a list in which one track stayed, one moved and one came."""

    def placed(title: str, place: int, other: int | None) -> dict[str, Any]:
        track = {"track_id": TRACK, "artist": name, "title": title}
        return {**track, "place": place, "other": other}

    return {
        "user": "ada", "generation": 3, "offset": 21807, "at": "2026-01-01T00:00:00+00:00",
        "now": [placed(name, 1, 1), placed("B", 2, 3), placed("C", 3, None)],
        "then": [placed(name, 1, 1), placed("D", 2, None), placed("B", 3, 2)],
    }  # fmt: skip


def imported(name: str, **changed: Any) -> dict[str, Any]:
    """Return an import that refused a record."""
    return {
        "id": IMPORT, "name": name, "bytes": 1000, "state": "done", "read_bytes": 1000, "kept": 90,
        "dropped": {"private-session": 2}, "rejected": {"bad-time": 1}, "formats": ["maloja"],
        "notes": [name], "refused": True, "problem": "", "reason": "",
        "examples": [{"record": 7, "reason": "bad-time", "detail": name, "raw": name}],
        "requested_at": "2026-01-01T00:00:00+00:00", "finished_at": "2026-01-01T00:01:00+00:00",
    } | changed  # fmt: skip


def generation(number: int, name: str) -> dict[str, Any]:
    """Return a generation of the nightly model that is kept."""
    return {
        "generation": number, "in_service": False, "trouble": "",
        "manifest": {
            "generation": number, "algorithm": name, "trained_at": f"2026-01-0{number}T03:00:00Z",
            "lake_version": 240, "plays_until": 1_764_150_000_000, "listeners": 4, "tracks": 2,
            "metrics": {"new.hr@10": 0.2, "popularity.hr@10": 0.1, "in_service.hr@10": 0.15},
            "layout": 1, "run": RUN,
        },
    }  # fmt: skip


def quality_point(after: int) -> dict[str, Any]:
    """Return a point of the model's history, so many milliseconds after the first."""
    return {
        "at": 1_764_150_000_000 + after, "generation": 3, "plays": 21807, "trials": 8192,
        "all": 0.25, "new": 0.1, "popularity": 0.05, "all_ndcg": 0.1, "new_ndcg": 0.05,
        "popularity_ndcg": 0.02, "coverage": 0.4, "novelty": 9.5, "drift": False,
    }  # fmt: skip


def pair(name: str, **changed: Any) -> dict[str, Any]:
    """Return two artists that may be one."""
    side = {
        "artist_id": ARTIST, "name": name, "tracks": 12, "titles": [name, "B"], "tags": [name],
        "ids": [f"mbid:{ARTIST}"],
    }  # fmt: skip
    return {
        "pair": f"{ARTIST}+{TRACK}", "score": 0.8, "why": "typo", "names": 0.9, "tags": 0.4,
        "ids_conflict": False, "decision": "pending", "decided_by": None, "decided_at": None,
        "left": side, "right": side | {"tracks": 0, "titles": [], "tags": [], "ids": []},
    } | changed  # fmt: skip


def metrics(name: str, **changed: Any) -> dict[str, Any]:
    """Return a count and a share of four days, one of them unknown."""
    table = {
        "table": "marts.metrics_daily", "status": "ok", "tests": 7, "failed": [],
        "finished_at": "2026-01-01T03:00:10+00:00",
    }  # fmt: skip
    point = {"start": "2026-01-01", "value": 0.2, "low": 0.1, "high": 0.3}
    series = [point | {"start": f"2026-01-0{i}", "value": i / 10} for i in (1, 2, 3)]
    series.append({"start": "2026-01-04", "value": None, "low": None, "high": None})
    share = {
        "name": "hit-through", "title": name, "unit": "share", "kind": "share",
        "better": "higher", "meaning": name, "note": name, "sql": f"select '{name}'",
        "tables": [table, table | {"table": "marts.b", "failed": [name]}], "value": 0.2,
        "low": 0.1, "high": 0.3, "before": 0.25, "change": -5.0, "series": series,
    }  # fmt: skip
    count = share | {
        "name": "plays", "title": f"{name}: plays", "unit": "plays", "kind": "sum", "low": None,
        "high": None,
        "value": 21807.0, "before": None, "change": None,
        "series": [one | {"low": None, "high": None} for one in series],
    }  # fmt: skip
    return {
        "start": "2026-01-01", "end": "2026-01-04", "by": "day", "run": RUN, "lake_version": 240,
        "published_at": "2026-01-01T03:01:00+00:00", "tests": 116, "failed": 1,
        "metrics": [count, share],
    } | changed  # fmt: skip


def warehouse(name: str) -> dict[str, Any]:
    """Return a source, a table whose test failed, a report and a figure."""
    row: dict[str, Any] = {
        "name": "raw.plays", "kind": "source", "title": "", "description": name, "inputs": [],
        "status": "", "rows": None, "seconds": None, "finished_at": None, "tests": 0, "failed": [],
    }  # fmt: skip
    built = row | {
        "name": "marts.metrics_daily", "kind": "model", "inputs": ["raw.plays"], "status": "error",
        "rows": 90, "seconds": 0.5, "tests": 7, "failed": [name],
        "finished_at": "2026-01-01T03:00:10+00:00",
    }  # fmt: skip
    ends = [
        row | {"name": f"{kind}:{of}", "kind": kind, "title": name, "inputs": [built["name"]]}
        for kind, of in (("report", "top-artists"), ("figure", "plays"))
    ]
    return {
        "run": RUN, "target": "duckdb", "built_at": "2026-01-01T03:00:30+00:00",
        "lake_version": 240, "tables": [row, built, *ends],
    }  # fmt: skip


def ANSWERS(name: str) -> list[tuple[str, Any]]:
    """Return ``(pattern, answer)`` of every endpoint the pages ask."""
    fact = {
        "field": name, "value": name, "source": name, "confidence": 0.5,
        "observed_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    reason = {
        "source": "next", "contribution": 1.5, "text": name,
        "plays": [{"track_id": TRACK, "artist": name, "title": name, "count": 3.0}],
    }  # fmt: skip
    token = {
        "id": "abcdef012345", "user": "ada", "roles": ["listener"], "label": name,
        "created_at": "2026-01-01T00:00:00+00:00", "expires_at": None, "state": "active",
        "scrobbler": False,
    }  # fmt: skip
    tags = [{"tag": name, "weight": 1.0}]
    top = {"artist": name, "name": name, "track_id": TRACK, "plays": 12}
    totals = {
        "plays": 120, "hours": 7.5, "tracks": 40, "artists": 12, "skips": 3, "discoveries": 9,
        "first": "2026-01-01T00:00:00+00:00", "last": "2026-01-31T00:00:00+00:00",
    }  # fmt: skip
    step: dict[str, Any] = {
        "name": name, "status": "failed", "started_at": None, "seconds": 1.5, "cpu_seconds": 1.0,
        "peak_mb": 300, "rows": {}, "detail": name,
    }  # fmt: skip
    run = {
        "id": RUN, "date": "2026-01-01", "target": "duckdb", "status": "failed",
        "started_at": "2026-01-01T03:00:00+00:00", "finished_at": "2026-01-01T03:01:00+00:00",
        "seconds": 60.0, "cpu_seconds": 50.0, "cost": None, "lake_version": 240, "lake_rows": 900,
        "error": name,
    }  # fmt: skip
    record = run | {
        "steps": [
            step,
            step | {"name": "build", "started_at": "2026-01-01T03:00:01+00:00"},
            step | {"name": "b", "status": "waiting", "seconds": None},
        ],
        "models": [
            {
                "table": "marts.fct_plays",
                "inputs": [name],
                "status": name,
                "started_at": "2026-01-01T03:00:01+00:00",
                "finished_at": "2026-01-01T03:00:03+00:00",
            }
        ],
        "checks": [{"table": name, "name": name, "ok": False, "detail": name}],
    }
    letter = {
        "id": LETTER, "at": 1_764_150_000_000, "topic": "segue.plays", "partition": 0,
        "offset": 90, "reason": "bad-json", "detail": name, "stages": ["learner", name],
        "user": name, "bytes": 12, "replayed": False,
    }  # fmt: skip
    table = {
        "name": "plays", "version": 240, "committed_at": "2026-01-01T00:00:00+00:00", "files": 99,
        "rows": 900, "bytes": 4_560_000, "small_files": 99, "small_files_fine": 64, "trouble": "",
    }  # fmt: skip
    return [
        (r"GET /v1/lake", {"tables": [table, table | {"name": name, "trouble": name}]}),
        (r"GET /v1/lake/[^/]+/versions", {"table": table, "versions": [{
            "version": 240, "at": "2026-01-01T00:00:00+00:00", "operation": name, "rows": 3,
            "files": 1}]}),
        (r"GET /v1/dead-letters", {
            "letters": [letter, letter | {"id": "3:7", "topic": "http:/v1/plays", "reason": name,
                                          "offset": -1, "replayed": True}],
            "total": 700, "looked_at": 5000,
            "groups": [{"topic": "segue.plays", "reason": "bad-json", "count": 2},
                       {"topic": name, "reason": name, "count": 1}]}),
        (r"GET /v1/dead-letters/[^/]+", {"letter": letter, "value": name, "whole_bytes": None}),
        (r"GET /v1/model/generations", {"in_use": 1, "generations": [
            generation(3, name) | {"in_service": True}, generation(2, name),
            {"generation": 1, "in_service": False, "manifest": None, "trouble": name}]}),
        (r"GET /v1/metrics(/[^/]+)?", metrics(name)),
        (r"GET /v1/warehouse/models", warehouse(name)),
        (r"GET /v1/lineage/.+", warehouse(name)),
        (r"GET /v1/warehouse/models/[^/]+", {
            "run": RUN, "built_at": "2026-01-01T03:00:30+00:00", "upstream": ["raw.plays"],
            "downstream": ["figure:plays", "report:top-artists"],
            "node": {
                "name": "marts.metrics_daily", "kind": "model", "title": "", "description": name,
                "sql": f"select '{name}'", "inputs": ["raw.plays"], "status": "error", "rows": 90,
                "seconds": 0.5, "finished_at": "2026-01-01T03:00:10+00:00",
                "columns": [{"name": "a", "type": "", "description": name}],
                "tests": [{"name": name, "status": "fail", "column": "a", "message": name}]}}),
        (r"GET /v1/model/history", {
            "start": "2026-01-01T00:00:00+00:00", "end": "2026-01-02T00:00:00+00:00",
            "points": [quality_point(60_000 * i) for i in (0, 1, 2, 30, 31)]}),
        (r"GET /v1/catalogue/review", {
            "pairs": [pair(name), pair(name, decision="merge", decided_by="person", tags=None,
                                       ids_conflict=True,
                                       decided_at="2026-01-01T00:00:00+00:00")],
            "counts": {"pending": 3, "merge": 1, "distinct": 0}, "next_offset": 20}),
        (r"GET /v1/suspects", {"suspects": [{"user": name, "findings": [
            {"pattern": "too-fast", "meaning": name, "started_at": 1_764_150_000_000,
             "ended_at": 1_764_150_060_000, "plays": 9},
            {"pattern": name, "meaning": "", "started_at": 1_764_150_000_000,
             "ended_at": 1_764_150_060_000, "plays": 40}]}]}),
        (r"GET /v1/experiments", {"experiments": [experiment(name), experiment(name, "draft")]}),
        (r"GET /v1/experiments/[^/]+", judged(name)),
        (r"GET /v1/quality", {
            "run": RUN, "started_at": "2026-01-01T03:00:00+00:00", "status": "failed",
            "built_by": RUN,
            "tables": [{"table": "marts.metrics_daily", "tests": 7, "failed": [name]}],
            "checks": [{"table": name, "name": name, "group": "anomaly", "answers": [
                {"run": RUN, "ok": i % 2 == 1, "severity": "warn", "detail": name}
                for i in range(3)]}]}),
        (r"GET /v1/operations", operations()),
        (r"GET /v1/runs", {"runs": [run | {"checks": 10, "failed_checks": 1}]}),
        (r"GET /v1/runs/[^/]+", record),
        (r"GET /v1/audit", {"before": 7, "rows": [{
            "seq": 9, "at": "2026-01-01T00:00:00+00:00", "actor": name, "action": "data.read",
            "meaning": name, "subject": name, "origin": name, "outcome": "refused",
            "detail": name}]}),
        (r"GET /v1/audit/verify", {"whole": False, "rows": 9, "head": "9:ab", "first_wrong": 4}),
        (r"GET /v1/erasures", {"erasures": [{
            "id": ERASURE, "state": "running", "steps": {name: {}}, "waiting_for": name,
            "requested_at": "2026-01-01T00:00:00+00:00", "finished_at": None}]}),
        (r"GET /v1/reports", {"reports": [{
            "name": "top-artists", "formats": ["json"], "title": name, "summary": name,
            "published_at": "2026-01-01T00:00:00+00:00", "lake_version": 240,
            "editions": ["2026-01-02", "2026-01-01"]}]}),
        (r"GET /v1/reports/[^/]+", {
            "report": "top-artists", "title": name, "summary": name, "lake_version": 240,
            "generated_at": "2026-01-01T00:00:00+00:00", "facts": {name: 12, "b": None, "c": name},
            "notes": [name],
            "tables": {
                "top": [{"rank": i, "artist": f"{name} {i}", "plays": 9 - i} for i in range(5)],
                "days": [{"day": f"2026-01-0{i}", "plays": i, "odd": None} for i in range(1, 5)],
                "none": []}}),
        (r"GET /v1/model", {
            "ready": True, "generation": 3, "tracks": 100, "plays_learned": 21807,
            "clock": 1_764_150_000, "offsets": {}, "views": {name: 3},
            "health": {
                "all": {"events": 8192, "hr@10": 0.25, "ndcg@10": 0.1},
                "new": {"events": 4000, "hr@10": 0.1, "ndcg@10": 0.05},
                "popularity": {"events": 8192, "hr@10": 0.05, "ndcg@10": 0.02},
                "proposed": 0.9, "coverage@10": 0.4, "novelty@10": 9.5,
                "counters": {"trials": 9000}, "drift": {"found": True, "trials_ago": 90}}}),
        (r"GET /v1/users/[^/]+/stats", {
            "user": "ada", "start": "2026-01-01", "end": "2026-02-01", "zone": "UTC", "by": "day",
            "totals": totals, "before": totals | {"plays": 0, "hours": 0, "skips": 0},
            "series": [{"day": "2026-01-01", "plays": 3}, {"day": "2026-01-04", "plays": 9}],
            "week": [[h * (d == 3) for h in range(24)] for d in range(7)],
            "artists": [top, top], "albums": [top], "tracks": [top]}),
        (r"GET /v1/users/[^/]+/stats/months", {
            "user": "ada", "zone": "UTC", "months": ["2025-11-01", "2025-12-01", "2026-01-01"],
            "artists": [
                {"artist": name, "plays": [3, 0, 9]}, {"artist": "B", "plays": [0, 2, 4]}]}),
        (r"GET /v1/users/[^/]+/what-if", what_if(name)),
        (r"GET /v1/users/[^/]+/plays/[^/]+/life", {
            "event_id": EVENT, "partition": 1, "offset": 9, "stages": [
                {"name": name, "done": done, "at": at, "detail": name}
                for done, at in (
                    (True, "2026-01-01T00:00:00+00:00"), (False, None), (None, None))]}),
        (r"GET /v1/albums", {
            "artist_id": ARTIST, "artist": name, "name": name, "year": 1998,
            "tracks": [card(name)]}),
        (r"GET /v1/users/[^/]+/relays", {
            "enabled": True,
            "services": [
                {"service": "listenbrainz", "name": "ListenBrainz", "secret": "user token"},
                {"service": "lastfm", "name": "Last.fm", "secret": "session key"}],
            "relays": [{
                "service": "lastfm", "name": "Last.fm", "state": "refused", "reason": name,
                "account": name, "created_at": "2026-01-01T00:00:00+00:00", "retry_at": None,
                "last_sent_at": None, "sent": 3, "waiting": 2, "refused": 1}]}),
        (r"GET /v1/users/[^/]+/recommendations", listing(name)),
        (r"GET /v1/users/[^/]+/plays", {
            "user": "ada", "plays": [play(name)], "before": play(name)["played_at"]}),
        (r"GET /v1/users/[^/]+/plays/[^/]+", play(name)),
        (r"GET /v1/users/[^/]+/feedback", {"user": "ada", "total": 101, "feedback": [
            {"kind": "love", "given_at": "2026-01-01T00:00:00+00:00", "track_id": TRACK,
             "artist": name, "title": name, "source": "v1"}]}),
        (r"GET /v1/users/[^/]+/tracks/.+/reasons", {
            "user": "ada", "track_id": TRACK, "artist": name, "title": name, "generation": 3,
            "offset": 21807, "stranger": False, "score": 1.2,
            "reasons": [reason, reason | {"contribution": -0.3, "plays": []}]}),
        (r"GET /1/user/[^/]+/playing-now", {"payload": {"listens": [
            {"track_metadata": {"artist_name": name, "track_name": name}}]}}),
        (r"GET /1/user/[^/]+/listen-count", {"payload": {"count": 12345}}),
        (r"GET /v1/me", {
            "user": "ada", "roles": ["listener"], "token_id": "abcdef012345", "label": "session",
            "expires_at": "2026-12-31T00:00:00+00:00", "time_zone": "Europe/Berlin", "theme": ""}),
        (r"GET /v1/(me/)?tokens", {"tokens": [token, token | {"state": "revoked"}]}),
        (r"GET /v1/erasures/.*", {
            "id": ERASURE, "state": "running", "steps": {name: {"plays": 3}},
            "waiting_for": name, "requested_at": "2026-01-01T00:00:00+00:00", "finished_at": None}),
        (r"GET /v1/users/[^/]+/imports", {
            "imports": [imported(name)], "max_bytes": 256 << 20,
            "formats": [{"name": "maloja", "about": name}]}),
        (r"GET /v1/users/[^/]+/imports/[^/]+", imported(name)),
        (r"GET /v1/search", {
            "query": name, "artists": [{"artist_id": ARTIST, "name": name, "popularity": 0.5}],
            "tracks": [card(name)], "next_offset": 20, "hint": name}),
        (r"GET /v1/stations", {
            "seeds": {"tag": name}, "tracks": [card(name)], "next_offset": 20, "degraded": True,
            "hint": name}),
        (r"GET /v1/artists/[^/]+", {
            "artist_id": ARTIST, "name": name, "names": [name, "Also"], "popularity": 0.5,
            "tags": tags, "top_tracks": [card(name)],
            "similar_artists": [
                {"artist_id": ARTIST, "name": name, "score": 0.9, "source": "content"}],
            "identities": [], "facts": [fact]}),
        (r"GET /v1/tracks/[^/]+", {
            "track": card(name), "tags": tags, "identities": [], "facts": [fact]}),
        (r"GET /v1/tracks/[^/]+/similar", {
            "track_id": TRACK, "generation": 3,
            "tracks": [{"track_id": TRACK, "artist": name, "title": name, "score": s}
                       for s in (0.9, 0.5, 0.1)]}),
    ]  # fmt: skip
