"""What can go wrong between us and a source.

::

    Retryable
    └── SourceUnavailable   rests, throttles or is down: the run stops and resumes later
    Terminal
    ├── SourceRefused       said no for good (bad key, forbidden, withdrawn)
    └── ShapeBroken         answered something the contract cannot read
"""

from __future__ import annotations

from contracts.errors import Retryable, Terminal


class SourceUnavailable(Retryable):
    """The source does not answer well now; what was collected is kept and a later run goes on."""


class SourceRefused(Terminal):
    """The source refuses this call for good; the message says what it said and what to do."""


class ShapeBroken(Terminal):
    """An answer lacks what its contract cannot do without; the raw answer is in the archive."""
