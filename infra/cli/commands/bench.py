"""`segue bench`: measurements, each beside a floor taken in the same run, printed as JSON.

The benchmarks live in ``tests/benchmarks`` of a checkout. The function of a benchmark is its
command: positional parameters are arguments, the others are options, its docstring is the help.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
import typer.main
from typer.core import TyperGroup

from contracts.errors import ConfigurationError
from infra.stack.brokers import default_broker

_PACKAGE = "tests.benchmarks"
#: Command -> module and function.
BENCHMARKS = {
    "freshness": ("freshness", "run"),
    "speed": ("speed_layer", "run"),
    "scale": ("scale", "run"),
    "broker": ("broker_log", "run"),
    "serve": ("http_load", "serve"),
    "live": ("live", "run"),
    "ingest": ("http_load", "ingest"),
    "import": ("imports", "run"),
    "search": ("search", "run"),
    "staging": ("staging", "run"),
    "nightly": ("nightly", "run"),
    "kernel": ("kernel", "run"),
    "shards": ("shards", "run"),
    "batch-view": ("batch_view", "run"),
    "tags": ("hetrec", "run"),
    "two-targets": ("two_targets", "run"),
    "experiments": ("experiments", "run"),
    "attack": ("attack", "run"),
    "idle": ("idle", "run"),
    "tracing": ("tracing", "run"),
    "web": ("web", "run"),
    "browser": ("browser", "run"),
    "flink": ("flink", "run"),
}


class _Benchmarks(TyperGroup):
    """Commands that are imported when they run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(BENCHMARKS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in BENCHMARKS:
            return None
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name=cmd_name)(_command(cmd_name))
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the benchmarks without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(*BENCHMARKS[name])) for name in BENCHMARKS])


app = typer.Typer(
    cls=_Benchmarks, add_completion=False, no_args_is_help=True, rich_markup_mode=None,
    pretty_exceptions_enable=False,
)  # fmt: skip


@app.callback()
def _root() -> None:
    """Measure, always beside a floor taken in the same run."""


def _command(name: str) -> Callable[..., None]:
    """Return the function from which Typer makes the command of a benchmark."""
    module, function = BENCHMARKS[name]
    measure: Callable[..., dict[str, Any]] = getattr(_load(module), function)

    def run(**options: Any) -> None:
        measured = measure(**options)
        typer.echo(json.dumps({"benchmark": name, **measured}, indent=2))
        if not measured.get("ok", True):
            raise typer.Exit(1)

    parameters = list(_parameters(measure))
    run.__doc__ = (inspect.getdoc(measure) or "").partition("\nParameters\n")[0]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _parameters(measure: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(measure)
    documented = _documented(measure)
    for each in inspect.signature(measure).parameters.values():
        kind = typer.Option if each.kind is each.KEYWORD_ONLY else typer.Argument
        described = kind(help=documented.get(each.name, ""))
        hint = list[int] if hints[each.name] == Sequence[int] else hints[each.name]
        default = list(each.default) if isinstance(each.default, tuple) else each.default
        if each.name == "broker":
            hint, default = str | None, None
            described = typer.Option(
                help="tansu or kafka. Default: the broker of a new home.", callback=_broker
            )
        yield each.replace(annotation=Annotated[hint, described], default=default)


def _documented(measure: Callable[..., Any]) -> dict[str, str]:
    """Return the descriptions of the parameters in a docstring."""
    section = (inspect.getdoc(measure) or "").partition("Parameters\n----------\n")[2]
    return {
        name: " ".join(text.split())
        for names, text in re.findall(r"^(\S.*)\n((?: {4}.*\n?)+)", section, re.MULTILINE)
        for name in names.split(", ")
    }


def _broker(name: str | None) -> str | None:
    """Take the broker that a new home would get if none is named."""
    return name or default_broker(lambda line: typer.echo(line, err=True))


def _load(name: str) -> Any:
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("tests"):
            raise ConfigurationError(
                "the benchmarks are part of a checkout: run segue bench in its folder"
            ) from None
        raise


def _summary(module: str, function: str) -> str:
    """Return the first line of a benchmark's docstring, read from its file."""
    try:
        spec = importlib.util.find_spec(f"{_PACKAGE}.{module}")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        return "(part of a checkout)"
    tree = ast.parse(Path(spec.origin).read_text())
    (found,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    return (ast.get_docstring(found) or "").partition("\n")[0]
