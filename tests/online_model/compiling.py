"""Compile a test's function that calls the model's kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile as the model does, without a cache: it would not see changes of the kernels."""
    return cast(Function, numba.njit(function))
