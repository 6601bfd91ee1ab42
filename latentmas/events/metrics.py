"""Prometheus figures of the event log: its head, when it last grew, and how far followers are behind it.

Projections have no lag to report: a command writes them in the transaction of its events, and a rebuild swaps them
under the lock of the head row. Only followers, which work after the commit, can be behind.
"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from latentmas.events.models import Event, FollowerCursor, LogHead

HEAD = ("latentmas_event_log_head", "Position of the head row, which is the number of events.")
LAST = ("latentmas_event_log_last_position", "Position of the last stored event; another than the head's is a fault.")
NEWEST = ("latentmas_event_log_newest_timestamp_seconds", "When the last event was recorded; absent in an empty log.")
LAG = ("latentmas_event_follower_lag", "Events that a follower has not handled yet.")


class EventLogCollector(Collector):
    """Reads the head row, the last event and the followers' cursors at each scrape, each by its key."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # Cursors and last event first: the head moves only forward, so what is written meanwhile shows as lag, and
        # a lag is never below zero.
        cursors = list(FollowerCursor.objects.order_by("name").values_list("name", "position"))
        newest = Event.objects.order_by("-position").values_list("position", "recorded_at").first()
        head = LogHead.objects.values_list("position", flat=True).first()
        if head is not None:  # a missing one is readiness' and verify_log's to report
            yield GaugeMetricFamily(*HEAD, value=head)
        yield GaugeMetricFamily(*LAST, value=newest[0] if newest else 0)
        if newest:
            yield GaugeMetricFamily(*NEWEST, value=newest[1].timestamp())
        lag = GaugeMetricFamily(*LAG, labels=["follower"])
        for name, position in cursors:
            lag.add_metric([name], (head or 0) - position)
        yield lag

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the names without a query: the tables need not exist when the process starts."""
        return [GaugeMetricFamily(*HEAD), GaugeMetricFamily(*LAST), GaugeMetricFamily(*NEWEST), GaugeMetricFamily(*LAG)]
