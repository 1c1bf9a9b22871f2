"""The console: how everything is, live; runs, the audit trail, erasures, everybody's tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import Response

from web.api import Refused, part
from web.charts.gantt import Span, gantt
from web.operator.state import view
from web.visit import Visit
from web.words import moment

ROLES = ("listener", "client", "analyst", "admin")


async def page(visit: Visit) -> Response:
    """GET /ui/ops."""
    state = await visit.get("/v1/operations")
    return visit.page("ops.html", "Operation", **view(state))


async def runs(visit: Visit) -> Response:
    """GET /ui/ops/runs."""
    found = await visit.get("/v1/runs")
    return visit.page("runs.html", "Runs", runs=found["runs"])


async def one_run(visit: Visit, run: str) -> Response:
    """GET /ui/ops/runs/...: steps, what failed, what dbt built."""
    record = await visit.get(f"/v1/runs/{part(run)}")
    spans = night(record)
    bad = [check for check in record.get("checks", []) if not check.get("ok", True)]
    return visit.page(
        "run.html", f"Run {record['id']}", run=record, bad=bad, models=record.get("models", []),
        steps=record.get("steps", []),
        chart=gantt(spans, _longest(spans)) if spans else None,
    )  # fmt: skip


def night(record: dict[str, Any]) -> list[Span]:
    """Return the steps of a run with, below the build, the tables that dbt built in it."""
    began = moment(record["started_at"]) if record.get("started_at") else None
    spans, at = [], 0.0
    for step in record.get("steps", []):
        seconds = step.get("seconds") or 0.0
        started = step.get("started_at")
        if began is not None and started:
            at = max(0.0, (moment(started) - began).total_seconds())
        if seconds or started:
            kind = "broken" if step["status"] == "failed" else ""
            spans.append(Span(step["name"], at, seconds, step["status"], kind))
        if step["name"] == "build" and began is not None:
            spans += [_table(model, began) for model in _in_time(record)]
        at += seconds
    return spans


def _in_time(record: dict[str, Any]) -> list[dict[str, Any]]:
    built = [model for model in record.get("models", []) if model.get("started_at")]
    return sorted(built, key=lambda model: str(model["started_at"]))


def _table(model: dict[str, Any], began: datetime) -> Span:
    start, end = moment(model["started_at"]), moment(model["finished_at"])
    kind = "inner" if model["status"] == "ok" else "broken"
    name = model["table"].rpartition(".")[2]
    seconds = max(0.0, (end - start).total_seconds())
    return Span(name, max(0.0, (start - began).total_seconds()), seconds, model["status"], kind)


def _longest(spans: list[Span]) -> str:
    steps = [span for span in spans if span.kind != "inner"]
    longest = max(steps, key=lambda span: span.seconds)
    whole = sum(span.seconds for span in steps)
    return f"{longest.name} took {longest.seconds:.1f} of {whole:.1f} seconds"


async def audit(visit: Visit) -> Response:
    """GET /ui/ops/audit."""
    who, before = visit.query("who").strip()[:256], visit.query("before")
    found = await visit.get(
        "/v1/audit", who=who or None, before=before if before.isdigit() else None, limit=100
    )
    verdict = await visit.get("/v1/audit/verify") if visit.query("verify") else None
    return visit.page("audit.html", "Audit trail", found=found, who=who, verdict=verdict)


async def erasures(visit: Visit) -> Response:
    """GET /ui/ops/erasures."""
    found = await visit.get("/v1/erasures")
    return visit.page("erasures.html", "Erasures", erasures=found["erasures"])


async def tokens(visit: Visit) -> Response:
    """GET /ui/ops/tokens."""
    return await _tokens(visit)


async def _tokens(
    visit: Visit, status: int = 200, wrong: dict[str, str] | None = None, made: Any = None
) -> Response:
    user = visit.query("user").strip()[:256]
    found = await visit.get("/v1/tokens", user=user or None)
    return visit.page(
        "tokens.html", "Tokens and roles", status, tokens=found["tokens"], user=user, made=made,
        wrong=wrong, typed=visit.form, roles=ROLES, said=visit.query("said"),
    )  # fmt: skip


async def make_token(visit: Visit) -> Response:
    """POST /ui/ops/tokens: create a token for any account; only this answer shows the token."""
    form = visit.form
    user, label = form.get("user", "").strip(), form.get("label", "").strip()
    wrong = {}
    if not user:
        wrong["user"] = "Type the name of the account; Segue creates it if it does not exist."
    if not label:
        wrong["label"] = "Type what the token is for."
    roles = [role for role in ROLES if form.get(f"role-{role}") == "on"]
    if not roles:
        wrong["roles"] = "Choose at least one role."
    if wrong:
        return await _tokens(visit, 400, wrong)
    try:
        made = await visit.send(
            "POST", "/v1/me/tokens", {"user": user, "label": label, "roles": roles}
        )
    except Refused as error:
        if error.status == 401:
            raise
        field = error.field if error.field in ("user", "label") else "user"
        return await _tokens(visit, 400, {field: error.message})
    return await _tokens(visit, made=made)


async def revoke(visit: Visit, token: str) -> Response:
    """POST /ui/ops/tokens/.../revoke."""
    await visit.send("DELETE", f"/v1/me/tokens/{part(token)}")
    said = f"Token {token} is revoked: it works nowhere any more, nor do sessions made from it."
    return visit.go("/ui/ops/tokens", said=said)
