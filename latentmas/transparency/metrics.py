"""Prometheus figures of the last checkpoint; the follower's lag tells how far the tree is behind the log."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from latentmas.transparency.models import Checkpoint

SIZE = ("latentmas_event_log_sealed", "Events under the last checkpoint; absent before the first.")
TIME = ("latentmas_event_log_sealed_timestamp_seconds", "When the last checkpoint was signed.")


class CheckpointCollector(Collector):
    """Reads the last checkpoint at each scrape, by its key."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        last = Checkpoint.objects.only("size", "sealed_at").first()
        if last is not None:
            yield GaugeMetricFamily(*SIZE, value=last.size)
            yield GaugeMetricFamily(*TIME, value=last.sealed_at.timestamp())

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the names without a query: the table need not exist when the process starts."""
        return [GaugeMetricFamily(*SIZE), GaugeMetricFamily(*TIME)]
