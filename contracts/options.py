"""Settings of single parts, and the list of every group: what ``docs/settings.md`` is made of."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from contracts.environ import REFERENCE, Group, Rule, setting, variables
from contracts.settings import Settings
from contracts.snowflake import IDENTITY, PROCESSES, Snowflake, SnowflakeSetup


@dataclass(frozen=True, slots=True)
class DatabaseLogins:
    """Passwords that ``segue init`` gives to the roles of :mod:`contracts.database_roles`."""

    PREFIX: ClassVar[str] = "SEGUE_POSTGRES_"

    api_password: str = setting(
        "", "`segue init`: password of the API's role; empty: not changed.", secret=True
    )
    sink_password: str = setting(
        "", "`segue init`: password of the workers' role; empty: not changed.", secret=True
    )
    relay_password: str = setting(
        "",
        "`segue init`: password of the role of the worker `relay`; empty: not changed.",
        secret=True,
    )
    admin_password: str = setting(
        "", "`segue init`: password of the commands' role; empty: not changed.", secret=True
    )


@dataclass(frozen=True, slots=True)
class WarehouseLimits:
    """What the embedded warehouse may take."""

    PREFIX: ClassVar[str] = "SEGUE_DUCKDB_"

    memory: str = setting("4GB", "Memory of a query; more spills to the disk.")
    temp: str = setting("", "Folder to spill into; empty: `spill` beside the warehouse.")
    threads: int = setting(
        0, "Threads of a query; 0: as many as there are cores.", rule=Rule(low=0)
    )


@dataclass(frozen=True, slots=True)
class Costs:
    """What the reports count with."""

    PREFIX: ClassVar[str] = "SEGUE_"

    cpu_hour_price: float | None = setting(
        None, "Price of a core for an hour; not set: reports name no cost.", rule=Rule(low=0)
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """Outside sources: where they are, and who we are there.

    Credentials may also be kept in ``credentials.toml`` in the home.

    Examples
    --------
    >>> from contracts.environ import read
    >>> read(Sources, {"SEGUE_LASTFM_API_KEY": "k3y"})  # secrets are not shown
    Sources(lastfm_url='', spotify_url='', listenbrainz_url='', listenbrainz_labs_url='')
    """

    PREFIX: ClassVar[str] = "SEGUE_"

    lastfm_url: str = setting("", "Another address of Last.fm: a proxy, a test.")
    spotify_url: str = setting("", "Another address of Spotify.")
    listenbrainz_url: str = setting("", "Another server that speaks the API of ListenBrainz.")
    listenbrainz_labs_url: str = setting("", "Another address of ListenBrainz Labs.")
    lastfm_api_key: str = setting("", "API key of Last.fm.", secret=True)
    spotify_client_id: str = setting("", "Client id of an app at Spotify.", secret=True)
    spotify_client_secret: str = setting("", "Client secret of that app.", secret=True)
    spotify_user_token: str = setting(
        "", "Access token of a listener, scope `user-read-recently-played`.", secret=True
    )
    listenbrainz_token: str = setting("", "User token of ListenBrainz.", secret=True)


@dataclass(frozen=True, slots=True)
class RelayTargets:
    """Where relays send plays, and who we are there."""

    PREFIX: ClassVar[str] = "SEGUE_RELAY_"

    listenbrainz_url: str = setting(
        "https://api.listenbrainz.org", "A server that speaks the API of ListenBrainz."
    )
    lastfm_url: str = setting(
        "https://ws.audioscrobbler.com/2.0/", "A server that speaks the API of Last.fm."
    )
    lastfm_key: str = setting(
        "", "API key at Last.fm; without it there are no relays to Last.fm.", secret=True
    )
    lastfm_secret: str = setting("", "Shared secret of that key.", secret=True)
    hold_seconds: float = setting(
        10.0,
        "How long a play waits before it is sent: by then it is known whether another client "
        "reported it too.",
        rule=Rule(low=0, high=3600),
    )


@dataclass(frozen=True, slots=True)
class Simulation:
    """The simulated listeners."""

    PREFIX: ClassVar[str] = "SEGUE_"

    simulate: float = setting(5.0, "Plays per second.", rule=Rule(above=0, below=1e6))
    simulate_seed: int = setting(7, "Chooses the invented catalogue and its people.")
    simulate_lists: bool = setting(
        True, "Listeners ask for lists before a quarter of their plays, and play from them."
    )
    simulate_arms: bool = setting(
        False,
        "1: two experiments run among them, one without an effect and one with an effect that is "
        "known (`segue up --arms`).",
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Commands that post to an API."""

    PREFIX: ClassVar[str] = "SEGUE_"

    token: str = setting("", "Token for `segue import --api`.", secret=True)


#: Every group, under the heading it has on the reference page.
GROUPS: dict[str, type[Group]] = {
    "Deployment": Settings,
    "Database logins": DatabaseLogins,
    "Embedded warehouse": WarehouseLimits,
    "Reports": Costs,
    "Outside sources": Sources,
    "Relays": RelayTargets,
    "Simulated listeners": Simulation,
    "Commands": Client,
    "Snowflake": Snowflake,
    "Setting up Snowflake": SnowflakeSetup,
}
#: Variables that other programs read: name -> who, and what for.
ELSEWHERE: dict[str, str] = {
    "SEGUE_BIN": "The Airflow DAGs: path of the `segue` command.",
    "SEGUE_COMMAND": "Tasks of the Airflow DAGs; they set it themselves.",
    "SEGUE_WAREHOUSE": "dbt run by hand: the target, `duckdb` or `snowflake`.",
    "SEGUE_DUCKDB_PATH": "dbt run by hand: the DuckDB file.",
    "SEGUE_SNOWFLAKE_THREADS": "dbt on Snowflake: models built at the same time (4).",
    "SEGUE_SNOWFLAKE_LOADER_KEY": "docker-compose.yml: file of the sink's private key.",
    "SEGUE_SNOWFLAKE_TRANSFORMER_KEY": "docker-compose.yml: file of the nightly's private key.",
    "SEGUE_SNOWFLAKE_ERASER_KEY": "docker-compose.yml: file of the eraser's private key.",
    "SEGUE_DATA": "Tests: folder of real interaction data.",
    "SEGUE_TEST_BROKER": "Tests: the broker they run on.",
}


def known() -> set[str]:
    """Return the name of every variable there is."""
    named = {each.name for group in GROUPS.values() for each in variables(group)}
    named |= {
        f"{Snowflake.PREFIX}{process.upper()}_{field.upper()}"
        for process in PROCESSES
        for field in IDENTITY
    }
    return named | {f"{name}_FILE" for name in named} | ELSEWHERE.keys()


def misspelt(env: Mapping[str, str] | None = None) -> list[str]:
    """Return one line for each ``SEGUE_*`` variable that nothing reads.

    Examples
    --------
    >>> misspelt({"SEGUE_PARTITION": "8", "PATH": "/bin"})
    ['SEGUE_PARTITION is not a setting; did you mean SEGUE_PARTITIONS? (docs/settings.md)']
    """
    names = sorted(n for n in (os.environ if env is None else env) if n.startswith("SEGUE_"))
    if not names:
        return []
    there = known()
    lines = []
    for name in names:
        if name in there:
            continue
        close = difflib.get_close_matches(name, sorted(there), 1, 0.8)
        hint = f"; did you mean {close[0]}?" if close else " and is ignored"
        lines.append(f"{name} is not a setting{hint} ({REFERENCE})")
    return lines
