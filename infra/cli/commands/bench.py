"""`segue bench`: measurements, each beside a floor taken in the same run, printed as JSON.

The benchmarks themselves live in ``tests/benchmarks`` of a checkout.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from contracts.errors import ConfigurationError
from infra.stack.brokers import default_broker

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "Measure, always beside a floor taken in the same run."


def _broker(name: str | None) -> str | None:
    """Take the broker a new home would get where none is named."""
    return name or default_broker(lambda line: typer.echo(line, err=True))


Broker = Annotated[
    str | None,
    typer.Option(help="tansu or kafka. Default: what a new home gets.", callback=_broker),
]


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"tests.benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("tests"):
            raise ConfigurationError(
                "the benchmarks are part of a checkout: run segue bench in its folder"
            ) from None
        raise


def _run(name: str, function: str = "run", **options: Any) -> dict[str, Any]:
    measured: dict[str, Any] = getattr(_load(name), function)(**options)
    typer.echo(
        json.dumps({"benchmark": name if function == "run" else function, **measured}, indent=2)
    )
    return measured


def _main(name: str, *arguments: object) -> None:
    """Run a benchmark that is a program of its own: it prints its figures itself."""
    module = _load(name)
    sys.argv = [name, *map(str, arguments)]
    raise typer.Exit(module.main() or 0)


@app.command()
def freshness(
    broker: Broker = None,
    plays: Annotated[int, typer.Option(help="How often to measure.")] = 200,
) -> None:
    """From posting a play to the first recommendation that reflects it."""
    _run("freshness", broker=broker, plays=plays)


@app.command()
def speed(
    broker: Broker = None,
    imports: Annotated[int, typer.Option(help="Plays, 100 a message.")] = 200_000,
    live: Annotated[int, typer.Option(help="Plays, one a message.")] = 60_000,
) -> None:
    """Plays per second through each worker of the speed layer."""
    _run("speed_layer", broker=broker, imports=imports, live=live)


@app.command("broker")
def broker_log(
    broker: Broker = None,
    growth: Annotated[int, typer.Option(help="Messages between two rounds.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Sizes of the log to measure at.")] = 4,
    wait_ms: Annotated[int, typer.Option(help="How long a fetch may be held.")] = 20,
    min_bytes: Annotated[int, typer.Option(help="For how much a fetch may be held.")] = 1,
) -> None:
    """Processor time the broker pays for a single-message batch as its log grows."""
    _run(
        "broker_log",
        broker=broker,
        growth=growth,
        rounds=rounds,
        wait_ms=wait_ms,
        min_bytes=min_bytes,
    )


Seconds = Annotated[float, typer.Option(help="Length of each run.")]
Connections = Annotated[list[int], typer.Option(help="Keep-alive connections; may be repeated.")]


@app.command()
def serve(
    broker: Broker = None,
    rate: Annotated[float, typer.Option(help="Requests a second of the open loop.")] = 2000,
    seconds: Seconds = 10,
    connections: Connections = [64, 1000],  # noqa: B006  # Typer reads it, nobody changes it
) -> None:
    """Recommendations a second and their latency, beside a static answer."""
    _run("http_load", "serve", broker=broker, rate=rate, seconds=seconds, connections=connections)


@app.command()
def live(
    broker: Broker = None,
    grow: Annotated[int, typer.Option(help="Single plays between the rounds; 0: none.")] = 100_000,
    rate: Annotated[float, typer.Option(help="Plays a second of the open loop.")] = 2000,
    seconds: Seconds = 5,
    connections: Connections = [64, 1000],  # noqa: B006
) -> None:
    """Single plays while every worker follows, on a young log and on a long one."""
    _run("live", broker=broker, grow=grow, rate=rate, seconds=seconds, connections=connections)


@app.command()
def ingest(
    broker: Broker = None,
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
    broker: Broker = None,
    rows: Annotated[int, typer.Option(help="Of the generated file.")] = 5_000_000,
    post: Annotated[int, typer.Option(help="Rows imported end to end; 0: none.")] = 200_000,
    folds: Annotated[bool, typer.Option(help="Let the workers follow meanwhile.")] = True,
) -> None:
    """Rows per second of the importer beside reading lines, and its memory against file size."""
    _run("imports", broker=broker, rows=rows, post=post, folds=folds)


@app.command()
def search(
    tracks: Annotated[int, typer.Option(help="Of the invented catalogue.")] = 1_000_000,
    questions: Annotated[int, typer.Option(help="Asked of each class.")] = 200,
) -> None:
    """Latency of /v1/search by class of question, beside a primary-key look-up."""
    _run("search", tracks=tracks, questions=questions)


@app.command()
def staging(
    rows: Annotated[int, typer.Option(help="Tracks of the generated file.")] = 1_000_000,
) -> None:
    """Rows a second into the staging tables, beside plain COPY without constraints; memory."""
    _run("staging", rows=rows)


@app.command()
def nightly(
    plays: Annotated[list[int], typer.Argument(help="Sizes of the lake, smallest first.")] = [  # noqa: B006
        1_000_000
    ],
    again: Annotated[bool, typer.Option(help="Measure the next night too.")] = True,
) -> None:
    """Seconds and memory of a cold nightly by step, beside writing each play once."""
    _run("nightly", plays=plays, again=again)


File = Annotated[Path, typer.Argument(help="Interactions: parquet or csv.")]


@app.command()
def kernel(
    file: Annotated[Path | None, typer.Argument(help="Interactions; default: invented.")] = None,
    user: Annotated[str | None, typer.Option(help="Column, as of segue evaluate.")] = None,
    item: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    time: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    artist: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    limit: Annotated[int, typer.Option(help="Plays learned first.")] = 40_000,
) -> None:
    """Processor time of a list by stage, and of a play learned, in one process without servers."""
    _run("kernel", file=file, user=user, item=item, when=time, artist=artist, plays=limit)


@app.command("batch-view")
def batch_view(
    file: File,
    limit: Annotated[int, typer.Argument(help="Plays of it; 0: all.")] = 0,
    nights: Annotated[int, typer.Argument(help="How often the batch model is fitted.")] = 4,
) -> None:
    """Quality of the recommender with the nightly model's table and without, prequential."""
    _main("batch_view", file, limit, nights)


@app.command("two-targets")
def two_targets(
    file: File, limit: Annotated[int, typer.Argument(help="Plays of it.")] = 50_000
) -> None:
    """The nightly on DuckDB and on an emulated Snowflake; exit code 1 where a mart differs."""
    said = _run("two_targets", file=file, limit=limit)
    if not said["same"] or said["duckdb"]["error"] or said["snowflake"]["error"]:
        raise typer.Exit(1)


@app.command()
def experiments(
    same: Annotated[int, typer.Option(help="Experiments without an effect.")] = 1_000,
    rounds: Annotated[int, typer.Option(help="Lakes they are spread over.")] = 4,
    parts: Annotated[str, typer.Option(help="What to look at.")] = (
        "warehouse,interleaving,offpolicy"
    ),
) -> None:
    """False alarms, power and coverage of experiments through the real code, beside theory."""
    _run("experiments", same=same, rounds=rounds, parts=parts)


@app.command()
def attack(
    connections: Annotated[int, typer.Option(help="That send half a request.")] = 2_000,
    logins: Annotated[int, typer.Option(help="With made-up names, at once.")] = 80,
) -> None:
    """What half requests and made-up logins cost a good client."""
    _run("attack", connections=connections, logins=logins)


@app.command()
def idle(
    broker: Broker = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long to count.")] = 60.0,
) -> None:
    """Processor time of each process of a stack without traffic, in percent of one core."""
    _run("idle", broker=broker, seconds=seconds)


@app.command()
def web(
    clients: Annotated[int, typer.Option(min=1, help="Streams that are open at once.")] = 1_000,
    seconds: Annotated[float, typer.Option(min=1, help="Of each phase.")] = 15.0,
) -> None:
    """The pages: play to event, memory a client, and what live clients cost the API's lists."""
    _run("web", clients=clients, seconds=seconds)


@app.command()
def flink(
    plays: Annotated[int, typer.Option(help="Plays of the log.", min=1)] = 50_000,
    jobs: Annotated[str, typer.Option(help="Default: all in one, and each.")] = "",
    parallelism: Annotated[str, typer.Option(help="Subtasks of each operator.")] = "1,2",
    parts: Annotated[str, typer.Option(help="What to measure.")] = "jobs,latency,state",
    listeners: Annotated[str, typer.Option(help="Sizes of state.")] = "1000,10000,100000",
    mode: Annotated[str, typer.Option(help="Python as a process or a thread.")] = "process",
    minutes: Annotated[float, typer.Option(help="Begin nothing after these.", min=1)] = 9.0,
) -> None:
    """The Flink jobs: cost of a play beside a plain consumer, time to a result, size of state."""
    _run(
        "flink",
        plays=plays,
        jobs=jobs,
        parallelism=parallelism,
        parts=parts,
        listeners=listeners,
        mode=mode,
        minutes=minutes,
    )
