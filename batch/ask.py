"""The one way checks and reports read the warehouse: SQL in, every row of the answer out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Ask(Protocol):
    """Asks the warehouse: SQL and its parameters to rows of plain values."""

    def __call__(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return every row of the answer."""
