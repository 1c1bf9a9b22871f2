"""The scripts of the Snowflake account: Snowflake's SQL, repeatable, and as narrow as promised."""

from __future__ import annotations

import logging
import re

import pytest
import sqlglot
from sqlglot import exp

from contracts.errors import ConfigurationError
from contracts.lake import TABLES
from contracts.snowflake import Snowflake
from infra.snowflake.backfill import what_next
from infra.snowflake.check import questions
from infra.snowflake.raw_tables import METADATA, OF_THE_NIGHTLY
from infra.snowflake.scripts import DRY, split, statements

RAW_TABLES = {**TABLES, **OF_THE_NIGHTLY}
ACCOUNT = Snowflake(account="a", database="segue_test")
#: What sqlglot takes as a bare command, and the shape we hold each to.
SHAPES = {
    "create role": r"create role if not exists \w+\s+comment = '[^']+'",
    "create schema": r"create schema if not exists [\w.]+ with managed access(\s+\w+ = .+)*",
    "create pipe": r"create pipe if not exists [\w.]+\s+comment = '[^']+'\s+as copy into .+",
    "create resource": r"create resource monitor if not exists \w+ with\s+credit_quota = \d+\s.+",
    "create masking": r"create masking policy if not exists [\w.]+ as \(\w+ varchar\)\s+"
    r"returns varchar ->\s+case .+ end\s+comment = '[^']+'",
    "alter masking": r"alter masking policy [\w.]+ set body ->\s+case .+ end",
    "create network": r"create network policy if not exists \w+\s+allowed_ip_list = \('.+'\)\s.+",
    "create function": r"create function if not exists [\w.]+\(name varchar\) returns varchar .+",
    "create user": r"create user if not exists \w+\s+type = service(\s+\w+ = \S+)+.*",
    "alter warehouse": r"alter warehouse \w+ set resource_monitor = \w+",
    "alter table": r"alter table [\w.]+\s+modify column user_id set masking policy [\w.]+ force",
    "alter user": r"alter user \w+ set (rsa_public_key = '[^']+'|network_policy = \w+)",
    "grant role": r"grant role \w+ to (role|user) \w+",
    "grant insert": r"grant insert on table [\w.]+ to role \w+",
    "grant select,": r"grant select, delete on (all|future) tables in schema [\w.]+ to role \w+",
    "grant select": r"grant select( on (all|future) (tables|views) in schema|, insert(, delete)? on"
    r" table) [\w.]+ to role \w+",
    "grant usage": r"grant usage on (all schemas in database \w+|function [\w.()]+) to role \w+",
    "grant create": r"grant create table, create view on schema [\w.]+ to role \w+",
    "grant operate,": r"grant operate, monitor on pipe [\w.]+ to role \w+",
    "grant apply": r"grant apply on masking policy [\w.]+ to role \w+",
}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sqlglot")  # it warns at every bare command


def all_statements() -> list[str]:
    return [statement.sql for statement in statements(ACCOUNT, DRY)]


def test_every_statement_is_snowflake_sql() -> None:
    for sql in all_statements():
        tree = sqlglot.parse_one(sql, read="snowflake")
        if isinstance(tree, exp.Command):
            shape = SHAPES[" ".join(sql.split()[:2])]
            assert re.fullmatch(shape, " ".join(sql.split())), sql


def test_what_stands_inside_a_statement_is_sql_too() -> None:
    for sql in all_statements():
        if sql.startswith("create pipe"):
            copy = sqlglot.parse_one(sql[sql.index("copy into") :], read="snowflake")
            assert isinstance(copy, exp.Copy)
        if "masking policy" in sql and "->" in sql:
            body = sql[sql.index("->") + 2 :].partition("comment")[0]
            assert isinstance(sqlglot.parse_one(body, read="snowflake"), exp.Case)


def test_applying_again_changes_nothing() -> None:
    for sql in all_statements():
        words = sql.split()
        if words[0] == "create":
            assert "if not exists" in " ".join(words[:7]), sql
        else:
            assert words[0] in ("use", "grant", "alter"), sql


@pytest.mark.parametrize("table", RAW_TABLES)
def test_raw_has_the_columns_of_the_lake(table: str) -> None:
    (sql,) = [s for s in all_statements() if f".RAW.{table.upper()} (" in s]
    tree = sqlglot.parse_one(sql, read="snowflake")
    columns = {c.name: c for c in tree.find_all(exp.ColumnDef)}
    assert list(columns) == [*RAW_TABLES[table].names, *METADATA]
    kinds = {
        "string": "VARCHAR", "timestamp[ms, tz=UTC]": "TIMESTAMPLTZ", "int64": "DECIMAL",
        "timestamp[us, tz=UTC]": "TIMESTAMPLTZ", "float": "DOUBLE",
        "int32": "DECIMAL", "bool": "BOOLEAN", "double": "DOUBLE", "date32[day]": "DATE",
        "list<item: float>": "ARRAY", "list<element: float>": "ARRAY",
    }  # fmt: skip
    for field in RAW_TABLES[table]:
        column = columns[field.name]
        assert column.kind is not None
        found = column.kind.this.name
        assert found in (kinds[str(field.type)], kinds[str(field.type)].replace("DOUBLE", "FLOAT"))
        required = column.find(exp.NotNullColumnConstraint) is not None
        assert required == (not field.nullable), field.name


def test_roles_get_no_more_than_they_need() -> None:
    grants = [" ".join(s.split()) for s in all_statements() if s.startswith("grant")]
    for grant in grants:
        role = grant.rsplit(" ", 1)[-1]
        assert not re.search(r"\b(all privileges|ownership)\b", grant), grant
        if role.endswith("_ANALYST") and not grant.startswith("grant role"):
            assert grant.startswith(("grant usage", "grant select")), grant
            assert not re.search(r"RAW|STAGING|INTERMEDIATE|SNAPSHOTS|GOVERNANCE", grant), grant
        if role.endswith("_TRANSFORMER") and ".RAW" in grant:
            own = "|".join(["BATCH", *(table.upper() for table in OF_THE_NIGHTLY)])
            writes = rf"grant (insert on table|read, write on stage) SEGUE_TEST\.RAW\.({own}) to .*"
            assert grant.startswith("grant select") or re.fullmatch(writes, grant), grant
        if role.endswith("_LOADER"):
            assert not re.search(r"MARTS|STAGING|INTERMEDIATE|SNAPSHOTS", grant), grant
        if role.endswith("_ERASER") and not grant.startswith(("grant usage", "grant role")):
            assert grant.startswith("grant select, delete") or re.fullmatch(
                r"grant (insert on table \S+QUARANTINE|read, write on stage \S+LANDING) to .*",
                grant,
            ), grant


def test_missing_keys_are_named_all_at_once() -> None:
    with pytest.raises(
        ConfigurationError, match=r"LOADER_PUBLIC_KEY, .*TRANSFORMER_.*ERASER_PUBLIC_KEY.*PEPPER"
    ):
        statements(ACCOUNT, {})


def test_nothing_but_the_pepper_given_stands_in_the_policy() -> None:
    """A default would change every pseudonym when it is applied again without the variable."""
    found = statements(ACCOUNT, {**DRY, "SEGUE_SNOWFLAKE_MASKING_PEPPER": "salt\n"})
    policies = [s.sql for s in found if "masking policy" in s.sql and "sha2" in s.sql]
    assert len(policies) == 2
    assert all("sha2('salt' ||" in policy for policy in policies)


def test_a_key_may_be_given_as_the_file_openssl_writes() -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nAB\nCD\n-----END PUBLIC KEY-----\n"
    found = statements(ACCOUNT, {**DRY, "SEGUE_SNOWFLAKE_LOADER_PUBLIC_KEY": pem})
    assert any("rsa_public_key = 'ABCD'" in statement.sql for statement in found)


def test_comments_and_semicolons() -> None:
    assert split("-- why; indeed\nselect ';' as x;\n\n  -- more\nuse role A;") == [
        "select ';' as x",
        "use role A",
    ]


def test_every_question_is_snowflake_sql() -> None:
    for question in questions(ACCOUNT):
        for sql in question.sql:
            tree = sqlglot.parse_one(
                sql.replace("describe user", "describe table"), read="snowflake"
            )
            if isinstance(tree, exp.Command):
                assert re.match(r"(show (future )?(grants|parameters)|use)\b", sql), sql


def test_plays_landed_late_come_with_what_to_do_next() -> None:
    assert what_next(0) == ""
    assert what_next(1200).startswith("1,200 plays")
    assert "segue nightly --target snowflake --full-refresh" in what_next(1200)
