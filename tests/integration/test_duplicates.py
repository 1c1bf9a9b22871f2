"""Two clients' reports of one play are one row of the history, in any order; and separable."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from contracts.recordings import recording_number
from contracts.same_play import group
from infra.operations.duplicates import merged, unmerge
from infra.operations.erasure.history import forget_play
from infra.operations.erasure.target import Target
from infra.stack.postgres import Postgres
from streams.duplicates import ReportedPlay, enrich
from streams.postgres_sink import PostgresStore
from streams.settle import COLUMNS, Connection
from streams.upsert import upsert
from tests.streams.test_duplicates import known, told

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def shown(connection: Connection, user: str) -> dict[str, ReportedPlay]:
    """Return the plays of a listener as every reader sees them."""
    rows = connection.execute(f"select {COLUMNS} from plays where user_id = %s".encode(), (user,))
    found = [
        ReportedPlay(**dict(zip(ReportedPlay.__struct_fields__, row, strict=True))) for row in rows
    ]
    for play in found:
        play.event_id = str(play.event_id)
    return {play.event_id: play for play in found}


def check(
    connection: Connection, user: str, reports: list[ReportedPlay], apart: tuple[str, ...] = ()
) -> None:
    """Compare the tables with the rule applied to all reports."""
    tracks: dict[int | None, list[ReportedPlay]] = {}
    for play in known(reports):
        tracks.setdefault(play.name_key, []).append(play)
    groups = [members for plays in tracks.values() for members in group(plays, apart)]
    expected = {members[0].event_id: enrich(members) for members in groups}
    found = shown(connection, user)
    assert found.keys() == expected.keys()
    for event, play in expected.items():
        assert found[event].clients == play.clients
        assert found[event].played_at == play.played_at
        assert found[event].duration_ms is None or play.duration_ms is not None
    count = connection.execute("select plays from listen_counts where user_id = %s", (user,))
    assert count.fetchone() == (len(expected),)
    heads = connection.execute(
        "select event_id::text, head_id::text from merged_plays where user_id = %s", (user,)
    )
    assert dict(heads.fetchall()) == {
        member.event_id: members[0].event_id
        for members in groups
        if len(members) > 1
        for member in members
    }


@pytest.mark.parametrize("seed", range(4))
def test_any_order_any_parts_any_repetition(postgres: Postgres, seed: int) -> None:
    draw = random.Random(seed)
    user = f"twice-{seed}-{uuid.uuid4().hex[:8]}"
    reports = [
        told(
            draw.randrange(600),
            draw.choice("abc"),
            f"Track {draw.randrange(3)}",
            user_id=user,
            duration_ms=draw.choice([None, None, 20_000, 40_000]),
            album=draw.choice([None, "Moon Safari"]),
        )
        for _ in range(80)
    ]
    queue = reports + draw.choices(reports, k=40)
    draw.shuffle(queue)
    with psycopg.connect(postgres.address) as connection:
        while queue:
            part, queue = queue[: draw.randrange(1, 20)], queue[20:]
            part += queue[: draw.randrange(3)]
            with connection.transaction():
                upsert(connection, known(part))
        with connection.transaction():
            assert upsert(connection, known(reports)) in range(len(reports))
        check(connection, user, reports)
        with connection.transaction():
            before = connection.execute("select count(*) from merges").fetchone()
            assert upsert(connection, known(reports)) == 0
            assert connection.execute("select count(*) from merges").fetchone() == before


def test_the_later_and_richer_report_enriches_the_first(postgres: Postgres) -> None:
    user = f"rich-{uuid.uuid4().hex[:8]}"
    first = told(0, "navidrome", user_id=user)
    later = told(7, "spotify-export", user_id=user, ms_played=1000, skipped=True, album="X")
    with psycopg.connect(postgres.address) as connection:
        for report in (first, later):
            with connection.transaction():
                upsert(connection, [report])
        (one,) = shown(connection, user).values()
        assert (one.event_id, one.source) == (first.event_id, "navidrome/1")
        assert (one.album, one.ms_played, one.skipped) == ("X", 1000, True)
        # An earlier report comes last, and becomes the head.
        earliest = told(-5, "lastfm", user_id=user, event_id=str(uuid.uuid4()))
        with connection.transaction():
            upsert(connection, [earliest])
        (one,) = shown(connection, user).values()
        assert (one.event_id, one.album, one.skipped) == (earliest.event_id, "X", True)
        assert one.clients == ["lastfm", "navidrome", "spotify-export"]


def test_un_merged_stays_un_merged(postgres: Postgres) -> None:
    user = f"undo-{uuid.uuid4().hex[:8]}"
    reports = [told(0, "a", user_id=user), told(5, "b", user_id=user, album="X")]
    with psycopg.connect(postgres.address) as connection, connection.transaction():
        upsert(connection, reports)
    (only,) = merged(postgres.address, user)
    assert only.event_id == reports[1].event_id
    assert only.into == reports[0].event_id
    assert only.seconds_apart == 5
    assert "b reported it 5 s after a" in only.why
    unmerge(postgres.address, user, only.event_id)
    assert merged(postgres.address, user) == []
    with psycopg.connect(postgres.address) as connection:
        check(connection, user, reports, (only.event_id,))
        assert shown(connection, user)[reports[0].event_id].album is None  # its own again
        with connection.transaction():
            upsert(connection, reports)  # the log is read once more
        check(connection, user, reports, (only.event_id,))
        notes = connection.execute(
            "select event_id::text, head_id::text from merges where user_id = %s order by id",
            (user,),
        ).fetchall()
    assert notes == [(only.event_id, only.into), (only.event_id, None)]
    unmerge(postgres.address, user, only.event_id)  # once more does no harm


def test_a_long_evening_of_one_song(postgres: Postgres) -> None:
    """A jingle of 20 s for three hours, reported by two clients: one row a play, in good time."""
    user = f"loop-{uuid.uuid4().hex[:8]}"
    reports = [
        told(20 * n + late, client, user_id=user, duration_ms=20_000)
        for n in range(540)
        for client, late in (("a", 0), ("b", 2))
    ]
    with psycopg.connect(postgres.address) as connection:
        for at in range(0, len(reports), 200):
            with connection.transaction():
                upsert(connection, reports[at : at + 200])
        assert len(shown(connection, user)) == 540
        check(connection, user, reports)


def test_clients_are_counted_by_listener(postgres: Postgres) -> None:
    """Another listener's client makes nobody's plays duplicates."""
    users = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("one", "two")]
    plays = [
        told(0, client, user_id=user, event_id=str(uuid.uuid4()))
        for user, client in zip(users, "ab", strict=True)
    ]
    with psycopg.connect(postgres.address) as connection, connection.transaction():
        upsert(connection, plays)
        assert Counter(len(shown(connection, user)) for user in users) == {1: 2}


@pytest.fixture
def no_plays(postgres: Postgres) -> Iterator[Connection]:
    """A connection to a history without plays; other tests find it so again."""
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("truncate plays, merged_plays")
        yield connection
        connection.execute("truncate plays, merged_plays")


def test_a_long_import_reads_few_rows_where_most_listeners_have_one_play(
    no_plays: Connection,
) -> None:
    """With such statistics PostgreSQL expects one row of any index that begins with a listener."""
    connection, mark, count = no_plays, uuid.uuid4().hex[:8], 2_000
    first, second = (
        [
            told(
                300 * n + late,
                client,
                user_id=f"many-{mark}",
                event_id=str(uuid.uuid4()),
                name_key=recording_number(f"Artist {n % 97}", f"Title {n % 89}"),
            )
            for n in range(count)
        ]
        for client, late in (("a", 0), ("b", 3))
    )
    connection.execute(
        f"insert into plays ({COLUMNS}) select 'once-' || n, now(), gen_random_uuid(), "
        "'t', 'a', 't', null, null, null, null, 's', now(), null, n, null, array['a'] "
        "from generate_series(1, 30000) as n".encode()
    )
    connection.execute("analyze plays")
    for way in ("seqscan", "hashjoin", "mergejoin"):  # too slow for a table of a million rows
        connection.execute(f"set enable_{way} = off".encode())
    part = count // 4
    for reports in (first, *(second[at : at + part] for at in range(0, count, part))):
        with connection.transaction():
            upsert(connection, reports)
            row = connection.execute(
                "select sum(idx_tup_fetch) from pg_stat_xact_user_tables "
                "where relname in ('plays', 'merged_plays')"
            ).fetchone()
        assert row is not None
        assert len(reports) <= row[0] <= 60 * len(reports)
    assert len(shown(connection, f"many-{mark}")) == count


def test_an_import_after_small_batches_reads_few_rows(
    no_plays: Connection, postgres: Postgres
) -> None:
    """A plan that suits three plays of a small table must not serve thousands."""
    mark, count = uuid.uuid4().hex[:8], 2_000
    no_plays.execute(
        f"insert into plays ({COLUMNS}) select 'once-' || n, now(), gen_random_uuid(), "
        "'t', 'a', 't', null, null, null, null, 's', now(), null, n, null, array['a'] "
        "from generate_series(1, 20) as n".encode()
    )
    no_plays.execute("analyze plays, merged_plays")
    store = PostgresStore(postgres.address)
    try:
        for size in (*[3] * 12, count):
            reports = [
                told(61 * n, user_id=f"{size}-{mark}", event_id=str(uuid.uuid4()), name_key=n % 900)
                for n in range(size)
            ]
            with store._transaction() as connection:
                upsert(connection, reports)
                row = connection.execute(
                    "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) "
                    "from pg_stat_xact_user_tables"
                ).fetchone()
        assert row is not None
        assert count <= row[0] <= 60 * count
    finally:
        store.close()
    assert len(shown(no_plays, f"{count}-{mark}")) == count


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_reports_that_were_merged_with_a_deleted_one_stay_plays(
    postgres: Postgres, gone: int
) -> None:
    user = f"gone-{uuid.uuid4().hex[:8]}"
    reports = [
        told(
            30 * i, "navidrome", user_id=user, event_id=str(uuid.uuid4()), ms_played=200_000,
            album="X" if i == gone else None,
        )
        for i in range(3)
    ]  # fmt: skip
    with psycopg.connect(postgres.address) as connection:
        with connection.transaction():
            upsert(connection, reports)
        assert len(shown(connection, user)) == 1
        target = Target(user, 0, reports[gone].event_id)
        forgotten = forget_play(connection, target)
        assert forgotten == (1 if gone == 0 else 0), "one row represents all of them"
        left = [report for report in reports if report is not reports[gone]]
        check(connection, user, left)
        (one,) = shown(connection, user).values()
        assert one.album is None, "only the deleted report knew it"
        for report in left:
            forget_play(connection, Target(user, 0, report.event_id))
        assert not shown(connection, user)
