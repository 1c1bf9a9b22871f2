"""What can go wrong between us and a source.

::

    Retryable
    └── SourceUnavailable   rests, throttles or is down: the run stops and resumes later
    Terminal
    ├── SourceRefused       refused permanently (bad key, forbidden, withdrawn)
    └── ShapeBroken         answered something the contract cannot read
"""

from __future__ import annotations

from contracts.errors import Retryable, Terminal


class SourceUnavailable(Retryable):
    """The source fails now; what was collected is kept, and a later run resumes."""


class SourceRefused(Terminal):
    """The source refuses this call permanently; the message has its answer and what to do."""


class ShapeBroken(Terminal):
    """An answer lacks what its contract cannot do without; the raw answer is in the archive."""
