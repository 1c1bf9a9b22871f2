"""``python -m streams.flink``: run the jobs, in this process or as the entry of a cluster's job."""

from __future__ import annotations

import logging
import os
import sys

from contracts.settings import Settings
from streams.flink.job import NAME, batch, stream
from streams.flink.options import parse


def main(arguments: list[str]) -> None:
    """Start the jobs; wait for their end where they have one or run in this process."""
    settings = Settings.from_env()
    # If a Python worker dies, Java logs the worker's environment, passwords too. The workers get
    # the settings with the job.
    for name in [name for name in os.environ if name.startswith(Settings.PREFIX)]:
        del os.environ[name]
    options = parse(arguments, settings.flink_bound)
    if options.files is not None:
        batch(options).execute().wait()
    else:
        stream(settings, options).execute(NAME)


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        main(sys.argv[1:])
    except Exception:
        logging.exception("the Flink jobs failed; this process ends with code 1")
        # Threads of Beam may wait forever for a Java machine that was killed. This process would
        # then not exit, and its supervisor would not restart it.
        os._exit(1)
