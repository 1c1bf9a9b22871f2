"""``segue worker flink``: becomes the process of the jobs."""

from __future__ import annotations

import logging
import os
import time
from urllib.parse import urlsplit

from contracts.errors import ConfigurationError
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.flink.environment import command, environ
from infra.flink.process import HEAP, arguments, scratch, stop_mark

_LOG = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Make the topics of results and run the jobs in place of this process.

    After ``segue flink stop`` wait for ``segue flink start``: the supervisor starts this process
    again whenever it ends.

    Raises
    ------
    ConfigurationError
        Flink is not installed, or ``SEGUE_FLINK`` is no address of this machine.
    """
    port = urlsplit(settings.flink).port
    if port is None:
        raise ConfigurationError(
            f"SEGUE_FLINK={settings.flink!r} is not an address such as http://127.0.0.1:8081"
        )
    if stop_mark(settings).exists():
        _LOG.info("the jobs are stopped; `segue flink start` resumes them")
        while stop_mark(settings).exists():
            time.sleep(0.5)
    configs = Topics(settings.namespace).configs(settings.plays_retention_days, flink=True)
    ensure_topics(settings, configs)
    words = command(*arguments(settings, rest=port))
    # The same process: who started this worker sees, signals and outlives the jobs themselves.
    os.execve(words[0], words, {**os.environ, **environ(HEAP, scratch(settings))})  # noqa: S606
