"""``segue repartition``: copy the log into a new namespace with more partitions."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict, replace
from typing import Annotated

import typer

from contracts.settings import Settings
from infra.cli.options import HomeOption, JsonOption
from infra.stack.progress import unapplied
from infra.stack.running import running


def repartition(
    namespace: Annotated[str, typer.Option(help="The new namespace, such as segue2.")],
    partitions: Annotated[
        int, typer.Option(help="Partitions of its topics: a multiple of the present number.")
    ],
    leave_dead_letters: Annotated[
        bool,
        typer.Option("--leave-dead-letters", help="Leave dead letters that wait in the old log."),
    ] = False,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean", help="At the end: delete topics and Redis keys of the present namespace."
        ),
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Copy plays, feedback and erasures into a new namespace with more partitions.

    Run it again at any time: it copies only what the new namespace lacks. Erasures wait meanwhile.
    docs/repartition.md has the order in which to switch the processes. --clean deletes nothing
    while a worker of the present namespace runs or messages are not copied.
    """
    # The workers' code, which --help must not wait for.
    from infra.operations.repartition import clean as cleaning
    from infra.operations.repartition.run import repartition as run

    settings = running(home).settings

    def say(line: str) -> None:
        typer.echo(line, err=True)

    if clean:
        # A stack of segue up runs with the new settings by now; the environment names the old log.
        given = Settings.from_env()
        settings = replace(settings, namespace=given.namespace, partitions=given.partitions)
        gone = cleaning.clean(
            settings, namespace, partitions, leave_dead_letters=leave_dead_letters, say=say
        )
        if json:
            typer.echo(jsonlib.dumps(asdict(gone)))
            return
        typer.echo(f"deleted {len(gone.topics)} topics and {gone.keys:,} Redis keys")
        typer.echo("on each host, delete the model's old folder (SEGUE_MODEL of the old settings)")
        return
    found = run(settings, namespace, partitions, leave_dead_letters=leave_dead_letters, say=say)
    if json:
        typer.echo(jsonlib.dumps([asdict(each) for each in found]))
        return
    for each in found:
        typer.echo(f"{each.topic}: {each.messages:,} copied, {each.left_out:,} erased or refused")
    typer.echo(
        f"settings of the new namespace: SEGUE_NAMESPACE={namespace} SEGUE_PARTITIONS={partitions} "
        f"SEGUE_POSTGRES_SCHEMA={settings.schema}"
    )
    for side in (settings, replace(settings, namespace=namespace, partitions=partitions)):
        behind = cleaning.listed(unapplied(side))
        typer.echo(f"workers of {side.namespace}: {behind or 'no lag'}")
