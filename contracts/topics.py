"""The topics of the play log: names, keys and how long they are kept."""

from __future__ import annotations

from dataclasses import dataclass

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names of one namespace.

    Examples
    --------
    >>> Topics("segue").plays
    'segue.plays'
    """

    namespace: str

    @property
    def plays(self) -> str:
        """Key ``user_id``, value :class:`contracts.events.Submission`."""
        return f"{self.namespace}.plays"

    @property
    def feedback(self) -> str:
        """Key ``user_id``, value :class:`contracts.events.Feedback`."""
        return f"{self.namespace}.feedback"

    @property
    def impressions(self) -> str:
        """Key ``user_id``, value :class:`contracts.impressions.Impression`."""
        return f"{self.namespace}.impressions"

    @property
    def dead_letters(self) -> str:
        """Key ``topic:partition:offset``, value :class:`contracts.events.DeadLetter`."""
        return f"{self.namespace}.dead-letters"

    @property
    def erasures(self) -> str:
        """Key ``listener:event_id``, value :class:`contracts.erasures.Erasure`."""
        return f"{self.namespace}.erasures"

    def configs(self, plays_days: int = 0) -> dict[str, dict[str, str]]:
        """Return topic settings by name.

        ``plays`` and ``feedback`` are kept for ever, since the log is the truth, unless
        ``plays_days`` says how long. ``erasures`` always are: they say what is not to be read any
        more. Impressions stay 30 days (the lake has them), dead letters 90.
        """
        forever = {"retention.ms": "-1", "cleanup.policy": "delete"}
        plays = {**forever, "retention.ms": str(plays_days * _DAY_MS)} if plays_days else forever
        return {
            self.plays: plays,
            self.feedback: plays,
            self.erasures: forever,
            self.impressions: {"retention.ms": str(30 * _DAY_MS)},
            self.dead_letters: {"retention.ms": str(90 * _DAY_MS)},
        }
