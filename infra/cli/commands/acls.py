"""``segue acls``: what each worker may do in Kafka."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts.settings import Settings
from infra.operations import acls as access


def acls(
    make: Annotated[
        bool, typer.Option("--apply", help="Create them in the brokers of SEGUE_KAFKA.")
    ] = False,
) -> None:
    """Print the ACLs of every worker as arguments of kafka-acls.sh, or make them."""
    settings = Settings.from_env()
    if make:
        typer.echo(f"{access.apply(settings)} ACLs are there")
        return
    for grant in access.grants(settings):
        typer.echo(grant.command)
