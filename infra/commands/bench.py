"""`segue bench`: measurements, each beside a floor taken in the same run, printed as JSON.

The benchmarks themselves live in ``tests/benchmarks`` of a checkout.
"""

from __future__ import annotations

import importlib
import json
from typing import Annotated, Any

import typer

from contracts.errors import ConfigurationError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "Measure, always beside a floor taken in the same run."

Broker = Annotated[str, typer.Option(help="tansu or kafka.")]


def _run(name: str, function: str = "run", **options: Any) -> None:
    try:
        module = importlib.import_module(f"tests.benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("tests"):
            raise ConfigurationError(
                "the benchmarks are part of a checkout: run segue bench in its folder"
            ) from None
        raise
    measured = getattr(module, function)(**options)
    typer.echo(
        json.dumps({"benchmark": name if function == "run" else function, **measured}, indent=2)
    )


@app.command()
def freshness(
    broker: Broker = "tansu",
    plays: Annotated[int, typer.Option(help="How often to measure.")] = 200,
) -> None:
    """From posting a play to the first recommendation that reflects it."""
    _run("freshness", broker=broker, plays=plays)


@app.command()
def speed(
    broker: Broker = "tansu",
    imports: Annotated[int, typer.Option(help="Plays, 100 a message.")] = 200_000,
    live: Annotated[int, typer.Option(help="Plays, one a message.")] = 60_000,
) -> None:
    """Plays per second through each worker of the speed layer."""
    _run("speed_layer", broker=broker, imports=imports, live=live)


Seconds = Annotated[float, typer.Option(help="Length of each run.")]
Connections = Annotated[list[int], typer.Option(help="Keep-alive connections; may be repeated.")]


@app.command()
def serve(
    broker: Broker = "tansu",
    rate: Annotated[float, typer.Option(help="Requests a second of the open loop.")] = 2000,
    seconds: Seconds = 10,
    connections: Connections = [64, 1000],  # noqa: B006  # Typer reads it, nobody changes it
) -> None:
    """Recommendations a second and their latency, beside a static answer."""
    _run("http_load", "serve", broker=broker, rate=rate, seconds=seconds, connections=connections)


@app.command()
def ingest(
    broker: Broker = "tansu",
    single_rate: Annotated[float, typer.Option(help="Open loop, one play a request.")] = 2000,
    batch_rate: Annotated[float, typer.Option(help="Open loop, 100 plays a request.")] = 200,
    seconds: Seconds = 10,
    connections: Connections = [64, 1000],  # noqa: B006
) -> None:
    """Plays a second acknowledged by the broker and their latency, beside a static answer."""
    _run(
        "http_load",
        "ingest",
        broker=broker,
        single_rate=single_rate,
        batch_rate=batch_rate,
        seconds=seconds,
        connections=connections,
    )


@app.command("import")
def imports(
    broker: Broker = "tansu",
    rows: Annotated[int, typer.Option(help="Of the generated file.")] = 5_000_000,
    post: Annotated[int, typer.Option(help="Rows imported end to end; 0: none.")] = 200_000,
    folds: Annotated[bool, typer.Option(help="Let the workers follow meanwhile.")] = True,
) -> None:
    """Rows per second of the importer beside reading lines, and its memory against file size."""
    _run("imports", broker=broker, rows=rows, post=post, folds=folds)
