"""``segue repartition``: copy the log into a new namespace with more partitions."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import Annotated

import typer

from infra.cli.options import HomeOption, JsonOption
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
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Copy plays, feedback and erasures into a new namespace with more partitions.

    Run it again at any time: it copies only what the new namespace lacks. Erasures wait meanwhile.
    docs/repartition.md has the order in which to switch the processes.
    """
    from infra.operations.repartition.run import repartition as run  # workers' code: not for --help

    settings = running(home).settings
    found = run(
        settings,
        namespace,
        partitions,
        leave_dead_letters=leave_dead_letters,
        say=lambda line: typer.echo(line, err=True),
    )
    if json:
        typer.echo(jsonlib.dumps([asdict(each) for each in found]))
        return
    for each in found:
        typer.echo(f"{each.topic}: {each.messages:,} copied, {each.left_out:,} erased or refused")
    typer.echo(
        f"settings of the new namespace: SEGUE_NAMESPACE={namespace} SEGUE_PARTITIONS={partitions} "
        f"SEGUE_POSTGRES_SCHEMA={settings.schema}"
    )
