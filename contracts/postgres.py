"""Addresses of PostgreSQL with parameters of the session, such as time limits."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict, make_conninfo


def with_session(dsn: str, **parameters: str | int) -> str:
    """Return an address whose sessions have these parameters besides those it sets already.

    Parameters
    ----------
    parameters
        Names and values of PostgreSQL's settings; numbers of time are milliseconds.

    Examples
    --------
    >>> with_session("host=h options='-c search_path=s'", lock_timeout=5)
    "host=h options='-c search_path=s -c lock_timeout=5'"
    """
    before = conninfo_to_dict(dsn).get("options") or ""
    added = " ".join(f"-c {name}={value}" for name, value in parameters.items())
    return make_conninfo(dsn, options=f"{before} {added}".strip())
