"""One typed door to numba, so that strict type checking passes through compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reassociated and fused, so loops vectorise; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "nsz"}


def _decorator(**options: Any) -> Callable[[Function], Function]:
    njit: Callable[..., Any] = numba.njit
    decorate = njit(cache=True, nogil=True, fastmath=_FAST, **options)
    return cast(Callable[[Function], Function], decorate)


def compiled(function: Function) -> Function:
    """Compile a function to machine code on first call and keep its type for the checker.

    The result is cached beside the source, releases the interpreter lock while it runs, and gives
    the same bits on every run on one machine.
    """
    return _decorator()(function)


def inner(function: Function) -> Function:
    """Compile a function that only compiled code calls.

    Without the wrappers for Python and C, which unpack every array of a state, compiling takes a
    fraction of the time.
    """
    return _decorator(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def inlined(function: Function) -> Function:
    """Compile a small function into every caller."""
    return _decorator(inline="always")(function)
