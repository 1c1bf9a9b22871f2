"""Parameters of a session are added to those an address has."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

from contracts.postgres import with_session


def test_the_schema_of_an_address_stays() -> None:
    dsn = "postgresql://u:p%40ss@127.0.0.1:5432/db?options=-csearch_path%3Dsegue"
    given = conninfo_to_dict(with_session(dsn, lock_timeout=5, statement_timeout=7))
    assert given["options"] == "-csearch_path=segue -c lock_timeout=5 -c statement_timeout=7"
    assert (given["user"], given["password"], given["dbname"]) == ("u", "p@ss", "db")


def test_an_address_without_parameters_gets_them() -> None:
    assert (
        conninfo_to_dict(with_session("host=h", lock_timeout=5))["options"] == "-c lock_timeout=5"
    )
