"""Records that are kept as files and answered as they are: what is always in them."""

from __future__ import annotations

from typing import Any

import msgspec


class RunRecord(msgspec.Struct):
    """A nightly run whole: at least its id and date; steps, models and checks in detail."""

    id: str
    date: str = ""
    target: str = ""
    status: str = ""
    steps: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    checks: list[dict[str, Any]] = []


class ReportDocument(msgspec.Struct):
    """An edition of a report as JSON: its facts, and its tables by name."""

    report: str = ""
    title: str = ""
    summary: str = ""
    generated_at: str = ""
    facts: dict[str, Any] = {}
    tables: dict[str, list[dict[str, Any]]] = {}


#: Method and path -> shape of the JSON answer with status 200.
ANSWERS: dict[str, type[msgspec.Struct]] = {
    "GET /v1/runs/{run_id}": RunRecord,
    "GET /v1/reports/{name}": ReportDocument,
}
