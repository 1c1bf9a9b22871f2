"""What the questions about an account's governance call wrong."""

from __future__ import annotations

from typing import Any

import pytest

from infra.snowflake.governance import governance
from infra.snowflake.question import Row

WAREHOUSES = [
    {"name": f"SEGUE_{name}", "auto_suspend": "60", "resource_monitor": "SEGUE"}
    for name in ("LOAD", "TRANSFORM", "ANALYSE")
]
ASKED = {question.name: question for question in governance("segue", {("INSERT", "SEGUE.RAW.A")})}


def grant(privilege: str, name: str) -> Row:
    return {"privilege": privilege, "name": name}


def judged(question: str, rows: list[Row]) -> str:
    return ASKED[question].judge(rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"auto_suspend": "61"}, "never or late asleep: ['SEGUE_LOAD']"),
        ({"auto_suspend": None}, "never or late asleep: ['SEGUE_LOAD']"),
        ({"resource_monitor": "null"}, "no resource monitor: ['SEGUE_LOAD']"),
        (
            {"auto_suspend": "0", "resource_monitor": None},
            "never or late asleep: ['SEGUE_LOAD']; no resource monitor: ['SEGUE_LOAD']",
        ),
    ],
)
def test_warehouses_sleep_and_are_watched(changes: dict[str, Any], said: str) -> None:
    rows = [WAREHOUSES[0] | changes, *WAREHOUSES[1:]]
    assert judged("warehouses sleep and are watched", rows) == said


def test_a_missing_warehouse_is_counted() -> None:
    assert judged("warehouses sleep and are watched", WAREHOUSES[:2]) == "only 2 of 3 warehouses"


def test_analysts_see_marts_only() -> None:
    rows = [grant("USAGE", f"SEGUE.{schema}") for schema in ("MARTS", "RAW", "SNAPSHOTS.A")]
    assert judged("analysts see MARTS only", rows) == "SEGUE.RAW, SEGUE.SNAPSHOTS.A"
    assert judged("analysts see MARTS only", rows[:1]) == ""


def test_the_transformer_writes_only_what_is_its_own() -> None:
    question = "the transformer cannot write what the sink landed"
    own = [
        grant("USAGE", "SEGUE.RAW"), grant("SELECT", "SEGUE.RAW.PLAYS"),
        grant("INSERT", "SEGUE.RAW.A"), grant("DELETE", "SEGUE.MARTS.B"),
    ]  # fmt: skip
    assert judged(question, own) == ""
    wrong = [grant("DELETE", "SEGUE.RAW.A"), grant("INSERT", "SEGUE.RAW.PLAYS")]
    assert judged(question, own + wrong) == "DELETE on SEGUE.RAW.A, INSERT on SEGUE.RAW.PLAYS"


def test_the_eraser_reaches_every_schema() -> None:
    schemas = ("RAW", "STAGING", "INTERMEDIATE", "SNAPSHOTS", "MARTS")
    rows = [grant("DELETE", f"SEGUE.{schema}.<TABLE>") for schema in schemas]
    assert judged("the eraser reaches every table", rows) == ""
    rows[1]["privilege"] = "SELECT"
    assert judged("the eraser reaches every table", rows[:4]) == "STAGING, MARTS"


def test_masking() -> None:
    assert judged("the eraser sees plain listener ids", [{"body": "in ('SEGUE_ERASER')"}]) == ""
    assert judged("the eraser sees plain listener ids", [{"body": "true"}])
    assert judged("the eraser sees plain listener ids", [])
    question = "listener ids are masked where they land and in the marts"
    assert judged(question, []) == ""
    assert judged(question, [{"name": "RAW.A"}]) == "no policy on user_id of RAW.A"
    assert judged("an analyst sees pseudonyms", [{"user_id": "a" * 64}]) == ""
    assert judged("an analyst sees pseudonyms", [{"user_id": "ada"}]) == "user ids are plain"


@pytest.mark.parametrize(
    ("key", "password", "said"),
    [
        ("SHA256:x", None, ""),
        ("SHA256:x", "null", ""),
        ("null", None, "no key"),
        ("SHA256:x", "********", "it has a password"),
    ],
)
def test_machines_have_a_key_and_no_password(key: str, password: str | None, said: str) -> None:
    rows: list[Row] = [
        {"property": "rsa_public_key_fp", "value": key},
        {"property": "password", "value": password},
    ]
    assert judged("SEGUE_LOADER has a key and no password", rows) == said


def test_machines_come_from_known_addresses() -> None:
    question = "SEGUE_ERASER comes from known addresses only"
    assert judged(question, [{"value": "POLICY"}]) == ""
    assert judged(question, [{"value": ""}]) == judged(question, []) == "no network policy"
