"""Logs which lists were shown: one message for each list, lost rather than waited for."""

from __future__ import annotations

from api.offers import Offers
from api.producer import LogRecord
from contracts.ids import partition_of
from contracts.impressions import Impression, encode
from contracts.topics import Topic


class ImpressionLog:
    """Appends impressions to their topic.

    Parameters
    ----------
    partitions
        Of the topic.
    """

    def __init__(self, offers: Offers, topic: Topic, partitions: int) -> None:
        self._offers = offers
        self._topic = topic
        self._partitions = partitions

    def add(self, impression: Impression) -> None:
        """Append an impression without waiting for the broker."""
        user = impression.user_id
        partition = partition_of(user, self._partitions)
        self._offers.offer(LogRecord(self._topic, user.encode(), encode(impression), partition))
