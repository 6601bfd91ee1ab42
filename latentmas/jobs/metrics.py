"""Prometheus figures of jobs: how many wait and run, for how long, and how long those of the last hour took."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from latentmas.jobs.models import OPEN, Job, State

LAST = timedelta(hours=1)  # of finished jobs; they are deleted after a month, so a counter over all would run backwards
OPEN_JOBS = ("latentmas_jobs_open", "Jobs that wait or run.", ("kind", "state"))
OLDEST = ("latentmas_jobs_oldest_waiting_seconds", "Age of the oldest job that waits.", ("kind",))
ENDED = ("latentmas_jobs_ended_last_hour", "Jobs that ended in the last hour.", ("kind", "state"))
MEAN = ("latentmas_jobs_mean_seconds_last_hour", "Mean time from start to end of these.", ("kind", "state"))
LONGEST = ("latentmas_jobs_longest_seconds_last_hour", "Longest time from start to end of these.", ("kind", "state"))
TOOK = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())


class JobCollector(Collector):
    """Reads the table of jobs at each scrape, in two grouped queries."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = timezone.now()
        open_jobs, oldest = _family(OPEN_JOBS), _family(OLDEST)
        grouped = Job.objects.filter(state__in=OPEN).order_by("kind", "state").values("kind", "state")
        for row in grouped.annotate(jobs=Count("id"), since=Min("created_at")):
            open_jobs.add_metric([row["kind"], row["state"]], row["jobs"])
            if row["state"] == State.QUEUED:
                oldest.add_metric([row["kind"]], (now - row["since"]).total_seconds())
        yield from (open_jobs, oldest)
        yield from _ended_since(now - LAST)

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the names without a query: the table need not exist when the process starts."""
        return [_family(each) for each in (OPEN_JOBS, OLDEST, ENDED, MEAN, LONGEST)]


def _ended_since(then: object) -> Iterator[GaugeMetricFamily]:
    ended, mean, longest = _family(ENDED), _family(MEAN), _family(LONGEST)
    grouped = Job.objects.filter(finished_at__gte=then).order_by("kind", "state").values("kind", "state")
    for row in grouped.annotate(jobs=Count("id"), mean=Avg(TOOK), longest=Max(TOOK)):
        labels = [row["kind"], row["state"]]
        ended.add_metric(labels, row["jobs"])
        if row["mean"] is not None:  # none of them had begun
            mean.add_metric(labels, row["mean"].total_seconds())
            longest.add_metric(labels, row["longest"].total_seconds())
    yield from (ended, mean, longest)


def _family(described: tuple[str, str, tuple[str, ...]]) -> GaugeMetricFamily:
    name, text, labels = described
    return GaugeMetricFamily(name, text, labels=labels)
