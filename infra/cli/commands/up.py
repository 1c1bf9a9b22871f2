"""``segue up``: start the whole stack on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console

from contracts.errors import ConfigurationError, Retryable, SegueError
from contracts.settings import Settings
from contracts.workers import FLINK
from infra.cli.options import HomeOption
from infra.flink import environment
from infra.flink.process import stop_mark
from infra.stack import banner
from infra.stack.brokers import BROKERS, default_broker
from infra.stack.home import Home, end_leftovers
from infra.stack.kafka_client import broker_answers
from infra.stack.links import sign_in_links
from infra.stack.ports import LOOPBACK, free_ports, trouble
from infra.stack.process import python
from infra.stack.stack import PORT_NAMES, Stack
from infra.stack.supervisor import Supervisor


def up(
    home: HomeOption = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the HTTP API; 0 chooses a free one. Default: 8000")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(BROKERS)}. Default: that of the last run; in a new home kafka where "
            "Java 17 and Maven are installed, else tansu"
        ),
    ] = None,
    flink: Annotated[
        bool, typer.Option("--flink", help="Run the Flink jobs too (needs --broker kafka).")
    ] = False,
    simulate: Annotated[
        float, typer.Option(min=0.0, help="Plays per second of simulated listeners.")
    ] = 0.0,
    arms: Annotated[
        bool,
        typer.Option("--arms", help="Run two experiments among the simulated listeners."),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the stack is ready; segue down stops it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object when the stack is ready.")
    ] = False,
) -> None:
    """Start the whole stack: broker, Valkey, PostgreSQL, workers, API. Ctrl-C stops it."""
    started = time.monotonic()
    if arms:
        if simulate <= 0.0:
            raise ConfigurationError("--arms needs simulated listeners: add --simulate 20")
        os.environ.update(SEGUE_SIMULATE_ARMS="1")  # the simulator and a detached run inherit it
    settings = Settings.from_env()
    settings = replace(
        settings,
        home=(home or settings.home).absolute(),
        port=settings.port if port is None else port,
    )
    screen = sys.stderr if as_json else sys.stdout

    def say(line: str) -> None:
        passed = time.monotonic() - started
        # A terminal that was closed, or `| tee` that heard the same Ctrl-C, must not keep a stack
        # from being stopped in order.
        with suppress(OSError):
            print(f"{passed:6.1f} s  {line}", file=screen, flush=True)

    if detach:
        addresses = _detach(settings, broker, flink, simulate, say)
        say("ready")
        _show(addresses, as_json, simulate)
        return
    os.umask(0o077)  # what the stack writes is about people: its owner's alone
    place = Home(settings.home)
    place.open()
    try:
        left = end_leftovers(place.read_run())
        if left:
            say(f"ended what a killed run left behind: {', '.join(left)}")
        supervisor = Supervisor(_stack(settings, place, broker, flink, say), place, simulate, say)

        def on_ready() -> None:
            say("ready")
            _show(_addresses(supervisor.stack, simulate > 0), as_json, simulate)

        supervisor.run(on_ready)
    except OSError as error:
        raise ConfigurationError(f"--home {place.path}: {error.strerror or error}") from None
    finally:
        place.close()


def _stack(
    settings: Settings, place: Home, broker: str | None, flink: bool, say: Callable[[str], None]
) -> Stack:
    """Decide broker and ports, and remember them."""
    before = place.recall().get("broker")
    chosen = broker or before
    kind = chosen or default_broker(say)
    if kind not in BROKERS:
        raise ConfigurationError(f"--broker {kind}: choose from {', '.join(BROKERS)}")
    if kind == "external":
        if "SEGUE_KAFKA" not in os.environ:
            raise ConfigurationError("--broker external needs the address in SEGUE_KAFKA")
        if not broker_answers(settings):
            raise ConfigurationError(f"no Kafka broker answers at SEGUE_KAFKA={settings.kafka}")
    if settings.port == 0:
        port, web_port = free_ports(2)
        settings = replace(settings, port=port, web_port=web_port)
    elif why := trouble(settings.port, settings.host):
        raise ConfigurationError(
            f"port {settings.port} on {settings.host} {why}; choose another with --port"
        )
    if trouble(settings.web_port, settings.host):
        settings = replace(settings, web_port=free_ports(1)[0])
    if flink:
        settings = replace(settings, flink=_flink(place, kind))
    if before not in (None, kind):
        say(f"{kind} begins a new log: what was read from {before} stays in the stores")
    if chosen or kind == "kafka":  # else the next start looks again whether Kafka can run
        place.remember(broker=kind)
    return Stack(place.path, kind, place.choose_ports(PORT_NAMES), settings)


def _flink(place: Home, broker: str) -> str:
    """Return where Flink's REST interface will be, once it is sure that the jobs can run."""
    if broker == "tansu":
        raise ConfigurationError(
            "--flink does not run on tansu, which reports a wrong end of its log, so that jobs "
            "would miss plays; use --broker kafka"
        )
    environment.command()
    stop_mark(Settings(home=place.path)).unlink(missing_ok=True)
    port = place.choose_ports((*PORT_NAMES, FLINK.name))[FLINK.name]
    address = os.environ[FLINK.needs] = f"http://{LOOPBACK}:{port}"
    return address


def _addresses(stack: Stack, simulated: bool) -> dict[str, Any]:
    settings = stack.settings
    return {
        "api": stack.api,
        "web": stack.web,
        "sign_in": sign_in_links(settings, stack.web, simulated=simulated),
        "admin_token": settings.admin_token,
        "explore_share": settings.explore_share,
        "home": str(stack.home),
        "kafka": settings.kafka,
        "redis": settings.redis_url,
        "postgres": settings.postgres_dsn,
        "namespace": settings.namespace,
        "partitions": settings.partitions,
        "logs": str(stack.settings.paths.logs),
        "pid": os.getpid(),
    }


def _show(addresses: dict[str, Any], as_json: bool, simulate: float) -> None:
    if as_json:
        print(json.dumps(addresses), flush=True)
    else:
        banner.show(Console(), addresses, simulated=simulate > 0)


def _detach(
    settings: Settings,
    broker: str | None,
    flink: bool,
    simulate: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Start the supervisor as a process of its own and wait until it is ready."""
    place = Home(settings.home)
    place.open()  # the clear line for a broken or busy home, before anything is started
    place.close()
    log = place.paths.log("supervisor")
    log.parent.mkdir(exist_ok=True)
    say(f"starting, step by step in {log}")
    command = python(
        "infra.cli", "up", "--json", "--home", str(place.path),
        "--port", str(settings.port), "--simulate", str(simulate),
        *(["--broker", broker] if broker else []), *(["--flink"] if flink else []),
    )  # fmt: skip
    with log.open("wb") as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if line:
        addresses: dict[str, Any] = json.loads(line)
        return addresses
    kind = Retryable if child.wait() == 2 else SegueError
    text = f"\n{log.read_text(errors='replace').strip()}"
    _, found, said = text.rpartition("\nsegue: ")
    raise kind(said if found else f"the stack did not start; see {log}")
