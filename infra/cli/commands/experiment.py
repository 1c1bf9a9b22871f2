"""`segue experiment`: define, start, end and read experiments, and how large one must be."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Column, Table

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.experiments import INTERLEAVED, PREFERENCE
from infra.cli.options import HomeOption, JsonOption
from infra.stack.running import running

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "Define, start, end and read experiments on the lists."

#: Most days an experiment may be planned for.
LONGEST = 366

Key = Annotated[str, typer.Argument(help="Name of the experiment.")]


@app.command()
def create(
    key: Key,
    hypothesis: Annotated[str | None, typer.Option(help="What is expected and why.")] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=WEIGHT[,override=value...], the control first: "
            "--arm control=0.5 --arm varied=0.5,diversity=0.4"
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Primary metric. Default: hit_through")] = None,
    guardrail: Annotated[
        list[str] | None, typer.Option(help="Metric that must not become worse; may be repeated.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=LONGEST, help="Days until the planned end. Default: 14"),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Set of experiments of which one runs at a time. Default: the layer lists"
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Share of the listeners that are in the experiment, 0 to 1. Default: 1"),
    ] = None,
    interleave: Annotated[
        bool,
        typer.Option(
            "--interleave",
            help="Make each list from the lists of both arms; sets metric and layer.",
        ),
    ] = False,
    file: Annotated[
        Path | None, typer.Option(help="The whole definition as JSON, instead of options.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Define an experiment; it runs once it is started, and cannot be edited."""
    options = {
        "hypothesis": hypothesis, "arm": arm, "metric": metric, "guardrail": guardrail,
        "days": days, "layer": layer, "share": share, "interleave": interleave or None,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    made = _options(given) if file is None else _read(file, given)
    _call(home, "POST", "", made | {"key": key})
    typer.echo(f"Experiment {key} is defined. Start it with: segue experiment start {key}")


@app.command()
def clone(
    key: Key,
    new_key: Annotated[str, typer.Argument(help="Name of the new experiment.")],
    days: Annotated[int, typer.Option(min=1, max=LONGEST, help="Days until its planned end.")] = 14,
    home: HomeOption = None,
) -> None:
    """Define an experiment like another; its listeners are in the same arms as there."""
    found = _call(home, "GET", f"/{key}")["experiment"]["definition"]
    found["salt"] = found["salt"] or key
    _call(home, "POST", "", found | {"key": new_key, "planned_end": _end(days)})
    typer.echo(f"Experiment {new_key} is defined. Start it with: segue experiment start {new_key}")


@app.command()
def start(key: Key, home: HomeOption = None) -> None:
    """Start a defined experiment; each API process uses it within five seconds."""
    _call(home, "POST", f"/{key}/start")
    typer.echo(f"Experiment {key} runs.")


@app.command()
def stop(key: Key, home: HomeOption = None) -> None:
    """End a running experiment; every listener gets the usual lists again."""
    _call(home, "POST", f"/{key}/stop")
    typer.echo(f"Experiment {key} has ended.")


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List experiments: those that run first, then the newest."""
    found = _call(home, "GET", "")["experiments"]
    if as_json:
        typer.echo(json.dumps(found))
        return
    names = ("state", "layer", "metric", "arms", "planned end")
    columns = [Column(name, overflow="fold") for name in names]
    table = Table(Column("key", no_wrap=True), *columns)  # an operator copies the key
    for one in found:
        made = one["definition"]
        arms = ", ".join(f"{arm['name']} {arm['weight']:g}" for arm in made["arms"])
        end = made["planned_end"][:16].replace("T", " ")
        table.add_row(one["key"], one["state"], made["layer"], made["metric"], arms, end)
    Console().print(table if found else "No experiments.")


@app.command()
def show(key: Key, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show an experiment and its newest nightly result."""
    found = _call(home, "GET", f"/{key}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    one, made = found["experiment"], found["experiment"]["definition"]
    typer.echo(f"{key} ({one['state']}): {made['hypothesis']}")
    if found["judged_at"] is None:
        typer.echo("No report yet: the nightly run judges experiments (segue nightly).")
        return
    for sentence in found["verdict"]:
        typer.echo(f"  {sentence}")
    names = ("control_value", "arm_value", "difference", "low", "high")
    for arm in dict.fromkeys(row["arm"] for row in found["comparisons"]):
        typer.echo(f"\n{arm} against {made['arms'][0]['name']}:")
        # Without lines between the columns every metric fits into 80 characters.
        table = Table(box=None, pad_edge=False, collapse_padding=True)
        for heading in ("metric", "role", "control", "arm", "difference", "at least", "at most"):
            table.add_column(heading)
        for row in found["comparisons"]:
            if row["arm"] == arm:
                table.add_row(row["metric"], row["role"], *(f"{row[name]:.4f}" for name in names))
        Console().print(table)


@app.command()
def size(
    metric: Annotated[str, typer.Argument(help="Primary metric.")] = "hit_through",
    change: Annotated[float, typer.Option(help="Smallest change to detect, per cent.")] = 2.0,
    arms: Annotated[int, typer.Option(min=2, help="Number of arms, the control included.")] = 2,
    power: Annotated[
        float, typer.Option(help="Probability of detecting that change, 0 to 1.")
    ] = 0.8,
    home: HomeOption = None,
) -> None:
    """Compute how many listeners an experiment needs, from the figures of the warehouse."""
    from batch import warehouse
    from batch.experiments import sizes

    with warehouse.asking(running(home).settings) as ask:
        made = sizes.size(ask, metric, change / 100.0, arms, power)
    typer.echo(f"To detect a change of {change:g} % in {100 * power:g} % of cases: {made.sentence}")


@app.command()
def replay(
    policy: Annotated[
        str,
        typer.Option(
            help="explore:SHARE[:LINE]: the ranker with this share of exploration, which draws "
            "from the next LINE tracks (50)."
        ),
    ] = "explore:0",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate from the log what other lists would have earned; exit 1 if the log is too small."""
    from batch import warehouse
    from batch.experiments import offpolicy
    from batch.experiments.shown import logged

    name, *values = policy.split(":")
    try:
        if name != "explore":
            raise ValueError(name)
        chosen = offpolicy.Exploring(float(values[0]), *map(int, values[1:]))
    except (ValueError, IndexError, TypeError):
        raise ConfigurationError(
            f"--policy {policy}: write explore:SHARE or explore:SHARE:LINE, such as "
            "explore:0.1:20. Other rankers cannot be judged from the log "
            "(docs/adr/0051-what-the-log-can-judge.md): interleave them"
        ) from None
    with warehouse.asking(running(home).settings) as ask:
        places = logged(ask)
    judged = offpolicy.judge(places, chosen)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(judged)))
    else:
        typer.echo(
            f"{judged.places:,} places of lists that explored; hits a place as shown: "
            f"{judged.shown:.4f}. Effective sample size {judged.effective:,.0f}, largest weight "
            f"{judged.largest:.1f}, {100 * judged.capped:.1f} % of weights above {offpolicy.CAP:g}."
        )
        if places.left_out:
            typer.echo(f"{places.left_out:,} lists are left out: their draws do not come out.")
        for estimator, found in judged.estimates.items():
            bounds = "biased by the cap, so without bounds"
            if found.low is not None:
                bounds = f"95 %: {found.low:.4f} to {found.high:.4f}"
            typer.echo(f"  {estimator}: {found.value:.4f} ({bounds})")
    if judged.refusal:
        typer.echo(f"No estimate: {judged.refusal}.", err=True)
        raise typer.Exit(1)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return a definition from the options that were given, by their names.

    Raises
    ------
    ConfigurationError
        ``--interleave`` and another option set the same field.
    """
    made = {
        "hypothesis": given.get("hypothesis", ""),
        "arms": [_arm(text) for text in given.get("arm", [])],
        "metric": given.get("metric", "hit_through"),
        "planned_end": _end(given.get("days", 14)),
        "layer": given.get("layer", "lists"),
        "share": given.get("share", 1.0),
    }
    if "guardrail" in given:
        made["guardrails"] = given["guardrail"]
    if "interleave" in given:
        if also := _names(name for name in given if name in ("metric", "guardrail", "layer")):
            raise ConfigurationError(
                f"--interleave sets {also} itself: leave {also} out. An interleaved experiment is "
                f"judged by {PREFERENCE!r}, in the layer {INTERLEAVED!r}, without guardrails"
            )
        fixed = {"design": INTERLEAVED, "layer": INTERLEAVED, "metric": PREFERENCE}
        made |= {"guardrails": [], **fixed}
    return made


def _names(given: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in given)


def _end(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def _arm(text: str) -> dict[str, Any]:
    """Return an arm from ``NAME=WEIGHT[,override=value...]``."""
    head, *rest = text.split(",")
    name, _, weight = head.partition("=")
    overrides: dict[str, Any] = {}
    for part in rest:
        field, _, value = part.partition("=")
        if field in overrides:
            raise ConfigurationError(f"--arm {text}: {field} is given twice")
        try:
            overrides[field] = json.loads(value)
        except ValueError:
            raise ConfigurationError(
                f"--arm {text}: {part!r} is not override=value, such as diversity=0.4 or "
                "popularity=true"
            ) from None
    try:
        return {"name": name, "weight": float(weight), "overrides": overrides}
    except ValueError:
        raise ConfigurationError(f"--arm {text}: write NAME=WEIGHT, such as control=0.5") from None


def _read(file: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return the definition in a file.

    Raises
    ------
    ConfigurationError
        It cannot be read, or the caller also gave options of the definition.
    """
    if also := _names(given):
        raise ConfigurationError(f"--file is the whole definition: leave {also} out, or --file")
    try:
        made = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    if not isinstance(made, dict):
        raise ConfigurationError(f"{file}: expected a JSON object")
    return made


def _call(home: Path | None, method: str, path: str, body: Any = None) -> Any:
    """Call the API with the administrator's token; return what it answers.

    Raises
    ------
    ConfigurationError
        It refuses; the message is its own.
    StoreUnavailable
        It does not answer, or cannot now.
    """
    try:
        content = None if body is None else json.dumps(body, allow_nan=False)
    except ValueError:
        raise ConfigurationError("a weight or share is not a finite number") from None
    stack = running(home)
    headers = {"authorization": f"Token {stack.admin_token}"}
    try:
        answer = httpx.request(
            method,
            f"{stack.api}/v1/experiments{path}",
            content=content,
            headers=headers,
            timeout=10.0,
        )
    except httpx.HTTPError as error:
        raise StoreUnavailable(f"the API does not answer: {error}") from None
    if answer.is_success:
        return answer.json()
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError):
        message = f"the API answered {answer.status_code}"
    raise (StoreUnavailable if answer.status_code >= 500 else ConfigurationError)(message)
