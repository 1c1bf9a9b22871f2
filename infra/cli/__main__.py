"""`python -m infra.cli`: the same as the installed command `segue`."""

from __future__ import annotations

from infra.cli.main import main

if __name__ == "__main__":
    main()
