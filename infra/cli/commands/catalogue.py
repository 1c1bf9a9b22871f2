"""`segue catalogue`: coverage, merges to review, the content view."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from contracts.accounts import ADMIN
from contracts.audit import INSERT, entry
from contracts.postgres import connect
from contracts.publication import CONTENT, CONTENT_VIEW, Publication
from infra.cli.options import HomeOption, JsonOption
from infra.operations.audit.trail import here
from infra.operations.database import connected
from infra.stack.running import running

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Show what the catalogue covers; decide which artists are one; publish the content view."""


@app.command()
def report(
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 below 1,000 tagged artists or six genres.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what the catalogue covers: artists, tracks, genres, and what each source brought."""
    from batch.catalogue.report import report as cover

    with connected(home, autocommit=True) as db:
        found = cover(db)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _print_report(found)
    if check and not found.meets_goal:
        raise typer.Exit(1)


@app.command()
def review(
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Id of a pair of the list: the two are the same artist."),
    ] = None,
    reject: Annotated[
        list[str] | None,
        typer.Option(help="Id of a pair of the list: the two are different artists."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who decides. Default: your login.")] = None,
    limit: Annotated[int, typer.Option(help="Number of pairs to show.")] = 30,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List artists that may be one, likeliest first, or decide on pairs of the list.

    A decision applies to later runs until another decision replaces it.
    """
    from batch.catalogue.pages import refresh
    from batch.catalogue.review import decide, pending

    with connected(home, autocommit=True) as db:
        decisions = [(pair, "merge") for pair in accept or []]
        decisions += [(pair, "distinct") for pair in reject or []]
        for pair, decision in decisions:
            with db.transaction():
                decide(db, *_ids(pair), decision, by or getpass.getuser())
                row = entry(ADMIN, "catalogue.decide", ADMIN, here(), pair=pair, decision=decision)
                db.execute(INSERT, row)
        if decisions:
            refresh(db)
        waiting = pending(db, limit)
    if json:
        typer.echo(msgspec.json.encode({"decided": len(decisions), "pending": waiting}).decode())
        return
    console = Console()
    if decisions:
        console.print(f"{len(decisions)} decided")
    for each in waiting:
        evidence = each.evidence
        agree = evidence.get("tags")
        why = [str(evidence.get("why"))]
        why += [] if agree is None else [f"tags agree {agree:.2f}"]
        why += ["ids conflict"] if evidence.get("ids_conflict") else []
        # Plain lines: a table would cut the pair, which --accept and --reject want whole.
        for line in (
            f"{each.score:.2f}  {each.left}  |  {each.right}  ({', '.join(why)})",
            f"      {each.pair}",
        ):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not waiting:
        console.print("nothing to review")


@app.command()
def content(home: HomeOption = None, json: JsonOption = False) -> None:
    """Compute neighbours by content and publish the content view; the learner loads it."""
    from batch.catalogue.resettle import alone
    from batch.content.build import build
    from batch.content.view import publish

    settings = running(home).settings
    with (
        connect(settings.postgres_dsn, autocommit=True) as db,
        alone(db),
        Publication(settings).changing(CONTENT, CONTENT_VIEW),
    ):
        coverage = build(db, settings.home)
        view = publish(db, settings.home)
    if json:
        typer.echo(msgspec.json.encode({"coverage": coverage, "view": view}).decode())
        return
    Console().print(
        f"{coverage.with_neighbours:,} of {coverage.artists:,} artists have neighbours; "
        + (
            f"view {view.generation} of {view.tracks:,} tracks, {view.with_neighbours:,} with "
            f"neighbours{'' if view.changed else ' (nothing new)'}"
            if view
            else "no tracks to make a view of"
        )
    )


def _ids(pair: str) -> tuple[str, str]:
    left, _, right = pair.partition("+")
    return left, right


def _print_report(found: Any) -> None:
    console = Console()
    table = Table("what", "", title="catalogue", show_header=False)
    for name, value in (
        ("artists", f"{found.artists:,} ({found.merged:,} names merged)"),
        ("albums, tracks, tags", f"{found.albums:,}, {found.tracks:,}, {found.tags:,}"),
        ("artists with tags", f"{found.artists_with_tags:.1%}"),
        (
            "tracks with tags",
            f"{found.tracks_with_tags:.1%} ({found.tracks_with_own_tags:.1%} of their own)",
        ),
        ("tracks with sound, with year",
         f"{found.tracks_with_sound:.1%}, {found.tracks_with_year:.1%}"),
        ("genres", ", ".join(f"{tag} {count:,}" for tag, count in found.genres.items()) or "none"),
        ("to review, refused records", f"{found.to_review:,}, {found.refused:,}"),
        ("1,000 artists and 6 genres", "yes" if found.meets_goal else "no"),
    ):  # fmt: skip
        table.add_row(name, value)
    console.print(table)
    sources = Table("source", "trust", "artists", "tracks", "tags", "similar", "with sound")
    for each in found.sources:
        counts = (each.artists, each.tracks, each.tags, each.similar, each.tracks_with_sound)
        sources.add_row(each.title, f"{each.confidence:.2f}", *(f"{n:,}" for n in counts))
    console.print(sources)
