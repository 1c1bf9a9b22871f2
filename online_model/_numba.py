"""One typed door to numba, so that strict type checking passes through compiled functions."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

import contracts.features
import contracts.plays

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reassociated and fused, so loops vectorise; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "nsz"}


# Files whose constants are compiled into kernels although no kernel is in them.
_CONSTANTS = ("state.py", "features.py")
_OF_CONTRACTS = (contracts.features, contracts.plays)


def kernels_digest(folder: Path) -> str:
    """Return a digest of all sources that end up in machine code."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.glob("*.py")):
        text = path.read_bytes()
        if b"from online_model._numba import" in text or path.name in _CONSTANTS:
            digest.update(text)
    for module in _OF_CONTRACTS:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _drop_stale_code(folder: Path) -> None:
    """Remove compiled code that was made from other sources than those in a folder.

    numba renews a cached function when its own file changes, but not when a function it calls,
    or a constant it reads, changes in another file. So all kernels count as one.
    """
    cache = folder / "__pycache__"
    mark = cache / "kernels.digest"
    with contextlib.suppress(OSError):  # a read-only installation keeps what it was built with
        digest = kernels_digest(folder)
        if mark.exists() and mark.read_text("ascii") == digest:
            return
        for pattern in (
            "*.nbi",
            "*.nbc",
        ):  # indexes first: data without an index is never read
            for path in cache.glob(pattern):
                path.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        mark.write_text(digest, "ascii")


_drop_stale_code(Path(__file__).parent)


def _decorator(**options: Any) -> Callable[[Function], Function]:
    njit: Callable[..., Any] = numba.njit
    # As in numpy, a division by zero is infinite: a check for it would keep loops out of vectors.
    decorate = njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy", **options)
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
