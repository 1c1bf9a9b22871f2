"""Questions about who may do and see what: warehouses, grants, masking, users of machines."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from infra.snowflake.question import Judge, Question, Row, is_none

#: Longest idle time (seconds) after which a warehouse must sleep.
_IDLE = 60
_WAREHOUSES = 3
#: Schemas in which listeners' rows lie.
_ERASED_FROM = ("RAW", "STAGING", "INTERMEDIATE", "SNAPSHOTS", "MARTS")
_HIDDEN_FROM_ANALYSTS = ("RAW", "STAGING", "SNAPSHOTS")
_PSEUDONYM_LENGTH = 64


def governance(database: str, writable: Collection[tuple[str, str]]) -> Iterator[Question]:
    """Return the questions.

    Parameters
    ----------
    writable
        (privilege, name) pairs in RAW that the transformer may have besides reading.
    """
    db = database.upper()
    yield Question(
        "warehouses sleep and are watched", (f"show warehouses like '{db}_%'",), _warehouses
    )
    yield from _grants(db, writable)
    yield from _masking(db)
    for role in ("LOADER", "TRANSFORMER", "ERASER"):
        yield from _machine_user(f"{db}_{role}")


def _grants(db: str, writable: Collection[tuple[str, str]]) -> Iterator[Question]:
    yield Question(
        "analysts see MARTS only",
        (f"show grants to role {db}_ANALYST",),
        _grants_outside_marts(db),
    )
    yield Question(
        "the transformer cannot write what the sink landed",
        (f"show grants to role {db}_TRANSFORMER",),
        _grants_to_write_raw(db, writable),
    )
    yield Question(
        "the eraser reaches every table",
        (f"show future grants to role {db}_ERASER",),
        _schemas_without_delete(db),
    )


def _masking(db: str) -> Iterator[Question]:
    policy = f"{db}.GOVERNANCE.LISTENER"
    yield Question(
        "the eraser sees plain listener ids",
        (f"describe masking policy {policy}",),
        _exempts(f"{db}_ERASER"),
    )
    yield Question(
        "listener ids are masked where they land and in the marts",
        (
            "select c.table_schema || '.' || c.table_name as name "  # noqa: S608
            f"from {db}.information_schema.columns c left join table({db}.information_schema."
            f"policy_references(policy_name => '{policy}')) p "
            "on p.ref_schema_name = c.table_schema and p.ref_entity_name = c.table_name "
            "and p.ref_column_name = c.column_name "
            "where c.column_name = 'USER_ID' and c.table_schema in ('RAW', 'MARTS') "
            "and p.ref_entity_name is null order by 1",
        ),
        _unmasked,
    )
    yield Question(
        "an analyst sees pseudonyms",
        (
            f"use role {db}_ANALYST",
            f"use warehouse {db}_ANALYSE",
            f"select user_id from {db}.marts.dim_listeners limit 20",  # noqa: S608
        ),
        _pseudonyms,
        real_only=True,
    )


def _machine_user(user: str) -> Iterator[Question]:
    yield Question(
        f"{user} has a key and no password",
        ("use role ACCOUNTADMIN", f"describe user {user}"),
        _key_and_no_password,
        real_only=True,
    )
    yield Question(
        f"{user} comes from known addresses only",
        (f"show parameters like 'NETWORK_POLICY' for user {user}",),
        lambda rows: "" if rows and rows[0]["value"] else "no network policy",
        real_only=True,
    )


def _warehouses(rows: list[Row]) -> str:
    if len(rows) < _WAREHOUSES:
        return f"only {len(rows)} of {_WAREHOUSES} warehouses"
    late = [row["name"] for row in rows if not 0 < int(row["auto_suspend"] or 0) <= _IDLE]
    free = [row["name"] for row in rows if is_none(row["resource_monitor"])]
    wrong = {"never or late asleep": late, "no resource monitor": free}
    return "; ".join(f"{what}: {names}" for what, names in wrong.items() if names)


def _grants_outside_marts(db: str) -> Judge:
    hidden = [f"{db}.{schema}" for schema in _HIDDEN_FROM_ANALYSTS]

    def judge(rows: list[Row]) -> str:
        names = [str(row["name"]) for row in rows]
        return ", ".join(name for name in names if any(schema in name for schema in hidden))

    return judge


def _grants_to_write_raw(db: str, writable: Collection[tuple[str, str]]) -> Judge:
    def is_wrong(row: Row) -> bool:
        privilege, name = row["privilege"], row["name"]
        if f"{db}.RAW" not in str(name) or privilege in ("USAGE", "SELECT"):
            return False
        return (privilege, name) not in writable

    return lambda rows: ", ".join(
        f"{row['privilege']} on {row['name']}" for row in rows if is_wrong(row)
    )


def _schemas_without_delete(db: str) -> Judge:
    def judge(rows: list[Row]) -> str:
        names = [str(row["name"]) for row in rows if row["privilege"] == "DELETE"]

        def is_reached(schema: str) -> bool:
            return any(name.startswith(f"{db}.{schema}") for name in names)

        return ", ".join(schema for schema in _ERASED_FROM if not is_reached(schema))

    return judge


def _exempts(role: str) -> Judge:
    return lambda rows: "" if rows and role in str(rows[0]["body"]) else "the policy hides them"


def _unmasked(rows: list[Row]) -> str:
    names = ", ".join(str(row["name"]) for row in rows)
    return f"no policy on user_id of {names}" if names else ""


def _pseudonyms(rows: list[Row]) -> str:
    plain = any(len(str(row["user_id"])) != _PSEUDONYM_LENGTH for row in rows)
    return "user ids are plain" if plain else ""


def _key_and_no_password(rows: list[Row]) -> str:
    found = {str(row["property"]).upper(): row["value"] for row in rows}
    if is_none(found.get("RSA_PUBLIC_KEY_FP")):
        return "no key"
    return "" if is_none(found.get("PASSWORD")) else "it has a password"
