"""Every SQL text of the repository names tables and columns that exist, and the API views only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from itertools import groupby
from uuid import UUID

import pytest
from sqlglot import exp
from sqlglot.errors import SqlglotError

from api.catalogue import candidates, matching, pages
from api.listenbrainz import stats
from contracts import (
    accounts,
    audit,
    catalogue,
    erasure_requests,
    experiments,
    history,
    imports,
    pins,
    relays,
)
from infra.stack.migrations import FOLDER
from tests.contracts.sql.check import parsed, problems, relations
from tests.contracts.sql.schema import Schema, replay
from tests.contracts.sql.texts import HOLE, Text, texts

#: Texts for other engines, by the beginning of their file: they are parsed, and checked where they
#: run. Everything else goes to PostgreSQL.
OTHER_ENGINES = {
    "batch/catalogue/lastfm_1k.py": "duckdb",
    "batch/catalogue/mpd.py": "duckdb",
    "batch/collectors/cache.py": "sqlite",
    "batch/quality.py": "duckdb",
    "batch/reports/": "duckdb",
    "batch/retrain.py": "duckdb",
    "batch/snowflake": "snowflake",
    "batch/warehouse.py": "duckdb",
    "infra/operations/erasure/snowflake.py": "snowflake",
    "infra/operations/erasure/warehouse.py": "duckdb",
    "infra/snowflake/": "snowflake",
    "streams/snowflake_sink/": "snowflake",
}
#: Single texts for DuckDB in files that also speak to PostgreSQL.
_WAREHOUSE = re.compile(r"\b(marts|staging|raw)\.|journal_of_merges")
#: Pieces that are no statement by themselves; :data:`BUILT` holds what is made of them.
PIECES = {
    ("api/catalogue/candidates.py", "select track_id, (a_hole)::real as match"),
    ("api/catalogue/candidates.py", "select c.track_id, c.title"),
    ("batch/warehouse.py", "create "),
    ("infra/operations/erasure/warehouse.py", "copy from database"),
}
_VIEW = re.compile(r"\w+_v\d+")
#: View -> the Struct with its columns.
VIEWS = {
    "account_settings_v1": accounts.AccountSettingsRow,
    "accounts_v1": accounts.Account,
    "audit_v1": audit.AuditRow,
    "catalogue_artist_cards_v1": catalogue.CatalogueArtistCard,
    "catalogue_artist_identities_v1": catalogue.CatalogueArtistIdentity,
    "catalogue_artist_ids_v1": catalogue.CatalogueArtistId,
    "catalogue_artist_roots_v1": catalogue.CatalogueArtistRoot,
    "catalogue_artist_tags_v1": catalogue.CatalogueArtistTag,
    "catalogue_candidates_v1": catalogue.CatalogueCandidate,
    "catalogue_facts_v1": catalogue.CatalogueFact,
    "catalogue_neighbours_v1": catalogue.CatalogueNeighbour,
    "catalogue_similar_artists_v1": catalogue.CatalogueSimilarArtist,
    "catalogue_track_cards_v1": catalogue.CatalogueTrackCard,
    "catalogue_track_identities_v1": catalogue.CatalogueTrackIdentity,
    "catalogue_track_tags_v1": catalogue.CatalogueTrackTag,
    "erasures_v1": erasure_requests.ErasureRequest,
    "experiments_v1": experiments.Experiment,
    "imports_v1": imports.ImportRow,
    "latest_imports_v1": history.LatestImport,
    "listen_counts_v1": history.ListenCount,
    "listener_feedback_v1": history.ListenerFeedback,
    "listens_v1": history.Listen,
    "merged_listens_v1": history.MergedListen,
    "pins_v1": pins.Pin,
    "play_places_v1": history.PlayPlace,
    "relays_v1": relays.Relay,
    "tokens_v1": accounts.Token,
}


def built() -> Iterator[Text]:
    """Yield statements that the API puts together, as they are sent."""
    for seeds in (
        candidates.Seeds(tag="rock", era="1990s", mood="calm"),
        candidates.Seeds(artist=UUID(int=1)),
        candidates.Seeds(era="1994"),
    ):
        yield Text("api/catalogue/candidates.py", 0, seeds.question()[0])
    for sought in (matching.ARTISTS, matching.TRACKS):
        for text in (sought.same(), sought.known(), sought.beginning(), sought.matching()):
            yield Text("api/catalogue/matching.py", 0, text)
    for kind in ("artist", "track"):
        yield Text("api/catalogue/pages.py", 0, pages._TAGS.format(kind=kind))
    for columns in stats._ENTITIES.values():
        names = ", ".join(name for name, _ in columns)
        yield Text("api/listenbrainz/stats.py", 0, f"select {names} from listens_v1")


@cache
def schema() -> Schema:
    return replay(path.read_text() for path in sorted(FOLDER.glob("*.sql")))


@cache
def every() -> tuple[Text, ...]:
    return (*texts(), *built())


def engine(text: Text) -> str:
    """Return the dialect of a text."""
    for beginning, dialect in OTHER_ENGINES.items():
        if text.file.startswith(beginning):
            return dialect
    return "duckdb" if _WAREHOUSE.search(text.sql) else "postgres"


def is_piece(text: Text) -> bool:
    shown = " ".join(text.sql.split())
    return any(text.file == file and shown.startswith(begin) for file, begin in PIECES)


def found_wrong(there_is: Schema) -> list[str]:
    """Return what is wrong with the texts for PostgreSQL, with file and line."""
    wrong = []
    for _, group in groupby(every(), key=lambda text: text.file):
        of_file = [t for t in group if engine(t) == "postgres" and not is_piece(t)]
        local = deepcopy(there_is)
        for text in of_file:  # a file may make temporary tables for its other statements
            if text.sql.lstrip().startswith("create ") and HOLE not in text.sql:
                local.apply(text.sql)
        wrong += [
            f"{text.file}:{text.line}: {problem}"
            for text in of_file
            for problem in problems(text.sql, local)
        ]
    return wrong


def test_tables_and_columns_exist() -> None:
    assert found_wrong(schema()) == []


def test_texts_for_other_engines_can_be_read() -> None:
    others = [t for t in every() if engine(t) != "postgres" and not is_piece(t)]
    assert others
    for text in others:
        try:
            parsed(text.sql, engine(text))
        except SqlglotError as error:
            pytest.fail(f"{text.file}:{text.line}: {str(error).splitlines()[0]}")


def rounded_seconds(text: str, dialect: str) -> list[str]:
    """Return the casts of seconds to an integer, which round: half a second becomes the next one.

    A second that is compared with ``played_at // 1000`` of a fold must be cut off instead.
    """
    return [
        cast.sql(dialect)
        for statement in parsed(text, dialect)
        for cast in statement.find_all(exp.Cast)
        if cast.is_type(exp.DataType.Type.BIGINT, exp.DataType.Type.INT)
        and not isinstance(cast.this.unnest(), exp.Floor)
        and any(
            "epoch" in each.sql(dialect).lower()
            for each in cast.find_all(exp.Extract, exp.Anonymous, exp.TimeToUnix)
        )
    ]


def test_seconds_are_cut_off_and_not_rounded() -> None:
    wrong = {
        f"{text.file}:{text.line}": rounded_seconds(text.sql, engine(text))
        for text in every()
        if "epoch" in text.sql and not is_piece(text)
    }
    assert [f"{place}: {casts}" for place, casts in wrong.items() if casts] == []
    assert len(wrong) > 8
    for bad in ("extract(epoch from a)::bigint", "(extract(epoch from a) * 1000)::bigint"):
        assert rounded_seconds(f"select {bad}", "postgres")
    assert rounded_seconds("select epoch(a)::bigint // 3600", "duckdb")


def test_the_api_reads_views_only() -> None:
    """Tables belong to those who write them; the API's statements that write are in contracts."""
    named = {
        (text.file, name)
        for text in every()
        if text.file.startswith(("api/", "web/")) and not is_piece(text)
        for name in relations(text.sql)
        if HOLE not in name
    }
    assert named
    assert {(file, name) for file, name in named if not _VIEW.fullmatch(name)} == set()


def test_every_view_has_the_columns_of_its_contract() -> None:
    """In any order: whoever reads a view names the columns."""
    made = {name: sorted(has) for name, has in schema().views.items() if _VIEW.fullmatch(name)}
    assert made == {name: sorted(kind.__struct_fields__) for name, kind in VIEWS.items()}


def test_the_texts_are_found() -> None:
    """The scan sees plain texts, f-strings with constants of their module and built ones."""
    seen = {(text.file, name) for text in every() if not is_piece(text)
            and engine(text) == "postgres" for name in relations(text.sql)}  # fmt: skip
    assert {
        ("api/auth.py", "tokens_v1"),
        ("api/listenbrainz/read.py", "listens_v1"),
        ("api/catalogue/matching.py", "catalogue_track_cards_v1"),
        ("contracts/accounts.py", "tokens"),
        ("contracts/audit.py", "audit"),
        ("streams/settle.py", "merged_plays"),
        ("streams/upsert.py", "plays"),
        ("batch/staging/runs.py", "collection_runs"),
        ("infra/operations/erasure/requests.py", "erasures"),
    } <= seen


def test_a_renamed_column_is_found() -> None:
    changed = deepcopy(schema())
    changed.apply("alter table plays rename column artist to performer")
    wrong = found_wrong(changed)
    assert any(line.startswith("streams/upsert.py") and "artist" in line for line in wrong)
    assert any(line.startswith("streams/settle.py") and "artist" in line for line in wrong)
    assert not any(line.startswith("api/") for line in wrong)  # the view hides it


def test_a_view_without_a_column_and_a_dropped_table_are_found() -> None:
    changed = deepcopy(schema())
    changed.views["listens_v1"].remove("played_at")
    changed.apply("drop table feedback")
    wrong = found_wrong(changed)
    assert any(line.startswith("api/listenbrainz/read.py") for line in wrong)
    assert any(line.startswith("api/lastfm/library.py") for line in wrong)
    assert any("no table or view feedback" in line for line in wrong)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("select t.nobody from tokens t", "t.nobody: there is no such column"),
        ("select nobody from tokens_v1", "nobody: there is no such column"),
        ("insert into tokens (nobody) values (%s)", "tokens(nobody): there is no such column"),
        (
            "update tokens set nobody = 1 where user_id = %(user)s",
            "nobody: there is no such column",
        ),
        ("copy plays (user_id, nobody) from stdin", "plays(nobody): there is no such column"),
        ("delete from nobodies", "there is no table or view nobodies"),
        ("lock table nobodies in share mode", "there is no table or view nobodies"),
        ("select from where", "cannot be read"),
    ],
)
def test_what_the_checker_says(text: str, wrong: str) -> None:
    assert any(wrong in problem for problem in problems(text, schema()))


@pytest.mark.parametrize(
    "text",
    [
        "with a as (select user_id as who from tokens) select who from a",
        "select to_jsonb(t) from tokens t where t.user_id = %s",
        "insert into tokens as t (user_id) values (%s) on conflict (token_hash) do update "
        "set user_id = excluded.user_id where t.label = ''",
        "select x.key from jsonb_each(%s) as x",
        "select h.id from unnest(%(ids)s::uuid[], %(n)s::int[]) h (id, n) where h.n > 1",
    ],
)
def test_what_the_checker_lets_pass(text: str) -> None:
    assert list(problems(text, schema())) == []
