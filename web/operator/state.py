"""How everything is, in words: what the console shows of ``GET /v1/operations``."""

from __future__ import annotations

from typing import Any

_WORDS = {
    "kafka": "Kafka does not answer: plays are refused with 503, and players keep them",
    "postgres": "PostgreSQL does not answer: history cannot be read, known tokens still work",
    "redis": "Redis does not answer: lists are popular tracks, plays are safe",
    "model": "there is no model yet: lists are empty",
}


def view(state: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows of an answer of ``GET /v1/operations``."""
    return {"state": state, "sentence": sentence(state), "well": not _troubles(state)}


def sentence(state: dict[str, Any]) -> str:
    """Return the health of everything in one sentence.

    Examples
    --------
    >>> good = {"dependencies": {"redis": "ok"}, "workers": [{"trouble": "", "lag": 3}]}
    >>> sentence(good)
    'All is well: 3 messages are on their way.'
    """
    troubles = _troubles(state)
    if troubles:
        text = "; ".join(troubles)
        return f"{text[0].upper()}{text[1:]}."
    lags = [worker["lag"] for worker in state["workers"]]
    if None in lags:
        return "Everything runs, but not every lag is known."
    waiting = max(lags, default=0)
    if not waiting:
        return "All is well: every worker is at the end of the log."
    what = "message is" if waiting == 1 else "messages are"
    return f"All is well: {waiting:,} {what} on their way."


def _troubles(state: dict[str, Any]) -> list[str]:
    found = [
        _WORDS.get(name, f"{name}: {said}")
        for name, said in state["dependencies"].items()
        if said != "ok"
    ]
    found += [
        f"{worker['name']} {worker['trouble']}" for worker in state["workers"] if worker["trouble"]
    ]
    return found
