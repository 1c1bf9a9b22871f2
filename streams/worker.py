"""What every worker does around its work: report, wait for dependencies, stop on a signal."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception_type

from contracts.erased import Erased
from contracts.errors import BrokerUnavailable, ConfigurationError, SegueError, StoreUnavailable
from contracts.heartbeat import STOPPED
from contracts.kafka import ensure_topics
from contracts.log_limit import LogLimit
from contracts.retries import Backoff, error_of
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.traces import open_traces
from streams.decode import Decoder
from streams.erasures import ErasureFollower
from streams.errors import CUT_SHORT, FAILED, exit_code
from streams.heartbeat import Reporter, Status

if TYPE_CHECKING:
    from contracts.trace_export import Traces
    from streams.health_server import HealthServer

log = logging.getLogger(__name__)
T = TypeVar("T")
_THREAD_SECONDS = 2.0
#: A stopping worker ends after so long at the latest; longer than all orderly waits, seconds.
STOP_SECONDS = 25.0
#: Between attempts while a store or the broker is down.
PAUSES = Backoff(0.1, 3.0)


class Stopped(Exception):
    """SIGTERM came while waiting for something."""


class Worker:
    """One process that follows the log.

    Attributes
    ----------
    name
        ``listeners``, ``learner``, ``lake-sink``, ``history-sink``.
    status
        Content of the heartbeat.
    erasures
        Follows what is to be forgotten.
    decoder
        Reads messages and leaves out what is erased.
    stopping
        Set by SIGTERM and SIGINT.
    traces
        Makes spans; ``None`` if nothing is traced.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.name = name
        self.topics = Topics(settings.namespace)
        self.status = Status()
        erased = Erased()
        self.erasures = ErasureFollower(settings, self.status, erased)
        self.decoder = Decoder(erased, settings.partitions)
        self.stopping = threading.Event()
        self.traces: Traces | None = None

    def stop(self) -> None:
        """Have the worker end, within :data:`STOP_SECONDS` even if a call hangs."""
        if not self.stopping.is_set():
            self.stopping.set()
            threading.Thread(target=_end_in_time, name="stopping", daemon=True).start()

    def patiently(self, attempt: Callable[[], T], part: str = "") -> T:
        """Call until it works, with growing pauses while a store or the broker is down.

        Parameters
        ----------
        part
            Name of the part of this worker that waits, for the heartbeat and the log.

        Raises
        ------
        Stopped
            The worker has to stop.
        """
        who = part or self.name
        call = Retrying(
            retry=retry_if_exception_type((StoreUnavailable, BrokerUnavailable)),
            wait=PAUSES,
            sleep=self._rest,
            before_sleep=lambda state: self.status.waits(who, str(error_of(state))),
        )
        result = call(attempt)
        self.status.goes_on(who)
        return result

    def _rest(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Stopped

    def find_logs(self) -> dict[str, str]:
        """Make missing topics and return ``topic -> log id``, waiting for the broker.

        From then on it is known what must not be folded (:mod:`streams.erasures`).
        """
        settings = self.settings
        configs = self.topics.configs(settings.plays_retention_days, flink=bool(settings.flink))
        ids = self.patiently(lambda: ensure_topics(settings, configs))
        self.status.log_id = ids[self.topics.plays]
        logs = {topic.kind: ids[topic] for topic in self.topics.landed}
        self.patiently(lambda: self.erasures.read_logs(logs))
        return ids


def run_worker(settings: Settings, name: str, body: Callable[[Worker], None]) -> int:
    """Run a worker until it has to stop; return its exit code (:mod:`streams.errors`)."""
    for handler in logging.getLogger().handlers:  # set up by whoever started this process
        handler.addFilter(LogLimit())
    worker = Worker(settings, name)

    def on_signal(_signum: int, _frame: FrameType | None) -> None:
        worker.stop()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
    health: HealthServer | None = None
    reporter = Reporter(settings, name, worker.status)
    reporter.start()
    code, why = 0, ""
    try:
        health = _serve_health(settings, worker)
        worker.traces = open_traces(
            settings, name, lambda outcome, n: worker.status.add(**{f"spans_{outcome}": n})
        )
        body(worker)
    except Stopped:
        pass
    except SegueError as error:
        code, why = exit_code(error), str(error)
        log.error("%s: %s; exit code %d", type(error).__name__, error, code)
    except Exception as error:  # a fault of ours: the process has to end all the same
        code, why = FAILED, f"{type(error).__name__}: {error}"
        log.exception("unexpected error; exit code %d", code)
    finally:
        worker.erasures.close()
        if worker.traces is not None:
            worker.traces.close()
        # Only now: whoever reads this need not expect another write of this process.
        worker.status.set_state("stopping" if code else STOPPED, why)
        reporter.close()
        if health is not None:
            health.close()
    _end_if_stuck(code)
    return code


def _serve_health(settings: Settings, worker: Worker) -> HealthServer | None:
    """Start the health server if the settings give it a port."""
    if not settings.worker_port:
        return None
    # The import of Prometheus' library takes 29 ms of processor time: only a worker that serves
    # probes spends it.
    from streams.health_server import HealthServer

    try:
        server = HealthServer(settings.host, settings.worker_port, worker.name, worker.status)
    except OSError as error:
        place = f"SEGUE_HOST={settings.host} SEGUE_WORKER_PORT={settings.worker_port}"
        raise ConfigurationError(f"{place}: {error.strerror}; give it a free port") from None
    server.start()
    return server


def _end_in_time() -> None:
    """End the process if it has not ended by itself: a call into a store may never return.

    That is as safe as SIGKILL: what is not committed is read from the log again. The worker's
    log shows where each thread was: one of them names the call that did not return.
    """
    time.sleep(STOP_SECONDS)
    log.error(
        "still running %g s after the request to stop; ending now (nothing committed is lost)",
        STOP_SECONDS,
    )
    faulthandler.dump_traceback()
    logging.shutdown()
    os._exit(CUT_SHORT)


def _end_if_stuck(code: int) -> None:
    """End the process at once if a library left a thread that waits for a dead broker.

    Everything is durable or undone by now; without this the interpreter would wait for ever.
    """
    ours = (threading.main_thread(), threading.current_thread())
    for thread in threading.enumerate():
        if not thread.daemon and thread not in ours:
            thread.join(_THREAD_SECONDS)
            if thread.is_alive():
                log.warning("thread %s does not end; exit code %d", thread.name, code)
                logging.shutdown()
                os._exit(code)
