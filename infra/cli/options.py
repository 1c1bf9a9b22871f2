"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: The folder of a stack; without it, that of the settings.
HomeOption = Annotated[
    Path | None,
    typer.Option(help="Home of the stack: the folder with all its data. Default: .segue"),
]
#: For programs that read what a command prints.
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
