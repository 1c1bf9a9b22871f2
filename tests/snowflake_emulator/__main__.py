"""``python -m tests.snowflake_emulator [PORT]``: run it by hand; prints how to reach it."""

from __future__ import annotations

import signal
import sys
import threading

from tests.snowflake_emulator.server import Emulator


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    emulator = Emulator(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    emulator.start()
    print(f"Snowflake emulator on http://127.0.0.1:{emulator.port}", flush=True)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    emulator.stop()


if __name__ == "__main__":
    main()
