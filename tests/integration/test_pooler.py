"""The API behind PgBouncer in transaction mode: one session for many clients."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.pools import reading_pool
from contracts.accounts import REVOKE_TOKEN, token_hash
from contracts.database_roles import API
from contracts.settings import Settings
from infra.stack import checks, pooler
from infra.stack.accounts import grant
from infra.stack.ports import LOOPBACK, free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import Process, wait_until
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from tests.integration.streams_kit import make_kit

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH')}:/usr/sbin")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
]
#: Sessions with PostgreSQL; all clients share them.
SESSIONS = 2


class PgBouncer(Server):
    """Transaction mode, as docs/clusters.md describes it."""

    name = "pgbouncer"

    def __init__(self, home: Path, port: int, postgres: Postgres) -> None:
        super().__init__(home, port)
        self._to = conninfo_to_dict(postgres.address_of(API))

    @property
    def address(self) -> str:
        login = {name: str(self._to[name]) for name in ("user", "password", "dbname")}
        return make_conninfo(host=LOOPBACK, port=self.port, **login)

    def prepare(self) -> None:
        super().prepare()
        users = self.folder / "users.txt"
        users.write_text(f'"{self._to["user"]}" "{self._to["password"]}"\n')
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={LOOPBACK} port={self._to['port']}\n"
            f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {self.port}\n"
            f"pool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 200\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\nunix_socket_dir =\n"
        )
        for path in (self.folder, *self.folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def healthy(self) -> bool:
        try:
            with psycopg.connect(self.address, connect_timeout=2):
                return True
        except psycopg.Error:
            return False

    def _build(self) -> Process:
        assert PROGRAM is not None
        # It refuses to run as root, so it changes to nobody after it has read its files.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [PROGRAM, *user, str(self.folder / "pgbouncer.ini")]
        return Process(self.name, command, self.log, env=self.clean_env())


@pytest.fixture(scope="module")
def bouncer(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    server = PgBouncer(tmp_path_factory.mktemp("pooler"), free_ports(1)[0], postgres)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            role = sql.Identifier(str(conninfo_to_dict(postgres.address_of(API))["user"]))
            connection.execute(sql.SQL("alter role {} in database postgres reset all").format(role))


@pytest.fixture
def settings(postgres: Postgres, bouncer: PgBouncer, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        namespace=postgres.namespace,
        postgres_dsn=postgres.address,
        postgres_pooler_dsn=bouncer.address,
        postgres_connections=30,
        statement_timeout_ms=700,
    )


def test_init_gives_sessions_their_parameters(settings: Settings, postgres: Postgres) -> None:
    role = sql.Identifier(str(conninfo_to_dict(postgres.address_of(API))["user"]))
    with psycopg.connect(postgres.address, autocommit=True) as owner:
        owner.execute(sql.SQL("alter role {} in database postgres reset all").format(role))
        _end_sessions(owner, settings)
        found = [finding.found for finding in checks.postgres_pooler(settings)]
        assert len(found) == 3
        assert "statement_timeout 0, not 700" in str(found)
        assert pooler.set_parameters(settings) == []
        _end_sessions(owner, settings)
    (finding,) = checks.postgres_pooler(settings)
    assert finding.level == checks.OK


def test_another_login_and_a_closed_port_are_named(settings: Settings, postgres: Postgres) -> None:
    owner = replace(settings, postgres_pooler_dsn=postgres.address)
    assert "logs in as postgres" in str(pooler.faults(owner))
    closed = make_conninfo(settings.postgres_pooler_dsn, port=free_ports(1)[0])
    (finding,) = checks.postgres_pooler(replace(settings, postgres_pooler_dsn=closed))
    assert finding.level == checks.FAIL
    assert finding.found.startswith("SEGUE_POSTGRES_POOLER_DSN: ")


def test_a_pool_larger_than_the_poolers_repeats_statements(
    settings: Settings, postgres: Postgres
) -> None:
    _give_parameters(settings, postgres)

    async def ask() -> tuple[set[int], str]:
        pool = reading_pool(settings)
        await pool.open()
        sessions: set[int] = set()

        async def one(number: int) -> None:
            for _ in range(12):  # more often than a client prepares a statement after
                async with pool.connection(timeout=30.0) as connection:
                    row = await (
                        await connection.execute(
                            "select pg_backend_pid(), current_schema(), %s::int", (number,)
                        )
                    ).fetchone()
                    assert row is not None
                    assert row[1:] == (settings.namespace, number)
                    sessions.add(row[0])

        await asyncio.gather(*(one(number) for number in range(30)))
        try:
            async with pool.connection() as connection:
                await connection.execute("select pg_sleep(30)")
        except psycopg.errors.QueryCanceled as error:
            ended = str(error)
        await pool.close()
        return sessions, ended

    sessions, ended = asyncio.run(ask())
    assert 1 <= len(sessions) <= SESSIONS
    assert "statement timeout" in ended


def test_the_api_serves_and_refuses_a_revoked_token(
    settings: Settings, postgres: Postgres, broker: Server, valkey: Valkey, tmp_path: Path
) -> None:
    _give_parameters(settings, postgres)
    grant(postgres.address, "pooled-ada", ("listener",), "pooled-token", "test")
    (port,) = free_ports(1)
    for kit in make_kit(
        tmp_path, kafka=broker, redis_url=valkey.address, postgres_dsn=postgres.address_of(API)
    ):
        api = kit.start("api", port=port, postgres_pooler_dsn=settings.postgres_pooler_dsn)
        url = f"http://{LOOPBACK}:{port}/v1/users/pooled-ada/plays"

        def status(url: str = url) -> int:
            try:
                headers = {"authorization": "Token pooled-token"}
                return httpx.get(url, headers=headers, timeout=5.0).status_code
            except httpx.HTTPError:
                return 0

        assert wait_until(lambda: status() == 200, 90), api.tail(30)
        assert [status() for _ in range(12)] == [200] * 12
        with psycopg.connect(postgres.address, autocommit=True) as owner:
            owner.execute(REVOKE_TOKEN, {"token_hash": token_hash("pooled-token")})
        assert wait_until(lambda: status() == 401, 90)


def _give_parameters(settings: Settings, postgres: Postgres) -> None:
    """Set the role's parameters and end the sessions that began without them."""
    assert pooler.set_parameters(settings) == []
    with psycopg.connect(postgres.address, autocommit=True) as owner:
        _end_sessions(owner, settings)


def _end_sessions(owner: psycopg.Connection[tuple[object, ...]], settings: Settings) -> None:
    """End the pooler's sessions and wait for their end: new ones have the role's new parameters."""
    user = conninfo_to_dict(settings.postgres_pooler_dsn)["user"]
    owner.execute(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = %s", (user,)
    )
