"""The registries of Prometheus figures, and their text.

`REGISTRY` holds collectors that read the database at each scrape, so that every process reports the same. `OF_PROCESS`
holds what a process counts itself: with several processes on one address set PROMETHEUS_MULTIPROC_DIR, and whichever
answers the scrape adds up the figures of all.
"""

import logging
import os
from collections.abc import Iterator

from django.db import Error
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()  # not the library's own, which anything that is imported may write to
OF_PROCESS = CollectorRegistry()

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of when it was first counted

logger = logging.getLogger(__name__)


class _ScrapeCollector(Collector):
    def __init__(self, *, with_database: bool) -> None:
        self._value = 1.0 if with_database else 0.0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        text = "1: the figures from the database are in this scrape; 0: they could not be read."
        yield GaugeMetricFamily("latentmas_scrape_database", text, value=self._value)


def exposition() -> bytes:
    """Return every figure in Prometheus' text format; without the database only those of processes, and say so."""
    try:
        from_database, read = generate_latest(REGISTRY), True
    except Error:
        logger.exception("the figures for the metrics could not be read from the database")
        from_database, read = b"", False
    state = CollectorRegistry()
    state.register(_ScrapeCollector(with_database=read))
    return from_database + _of_processes() + generate_latest(state)


def _of_processes() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(OF_PROCESS)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
