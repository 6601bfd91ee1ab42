"""The figures at the top of the admin: the log, what waits for somebody, and what is on offer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from latentmas.events import store
from latentmas.events.models import FollowerCursor
from latentmas.jobs.models import OPEN, Job
from latentmas.jobs.models import State as JobState
from latentmas.transparency.models import Checkpoint
from marketplace.curation.models import Report
from marketplace.listings.models import Listing
from marketplace.listings.queues import QUEUES, queued
from marketplace.listings.statistics import Statistics, statistics


@dataclass(frozen=True, slots=True)
class Queue:
    title: str
    count: int
    address: str  # of its list, for who has the permission
    permission: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`lag` is by follower, in events; projections are written with their events and have none."""

    head: int
    checkpoint: Checkpoint | None
    lag: dict[str, int]
    queues: tuple[Queue, ...]
    catalogue: Statistics

    @property
    def unsealed(self) -> int:
        return self.head - (self.checkpoint.size if self.checkpoint else 0)


def dashboard(*, at: datetime) -> Dashboard:
    """Read the figures. Cursors and checkpoint before the head, which only grows, so that no lag is below zero."""
    cursors = list(FollowerCursor.objects.order_by("name").values_list("name", "position"))
    checkpoint = Checkpoint.objects.only("size", "sealed_at").first()
    head = store.head_position()
    lag = {name: head - position for name, position in cursors}
    return Dashboard(head, checkpoint, lag, tuple(_queues(at)), statistics(at=at))


def _queues(at: datetime) -> Iterator[Queue]:
    reports, versions, listings, jobs = (
        (reverse(f"admin:{app}_{model}_changelist"), f"{app}.view_{model}")
        for app, model in (
            ("curation", "report"),
            ("listings", "listingversion"),
            ("listings", "listing"),
            ("jobs", "job"),
        )
    )
    yield Queue("Open reports", Report.objects.filter(outcome=None).count(), *reports)
    for name, (title, _) in QUEUES.items():
        yield Queue(f"Version {title}", queued(name, at=at).count(), f"{versions[0]}?queue={name}", versions[1])
    stopped = Listing.objects.filter(quarantined_at__isnull=False).count()
    yield Queue("Listings in quarantine", stopped, f"{listings[0]}?quarantined_at__isempty=0", listings[1])
    yield Queue("Jobs under way", Job.objects.filter(state__in=OPEN, parent=None).count(), *jobs)
    failed = Job.objects.filter(state=JobState.FAILED, parent=None).count()
    yield Queue("Failed jobs", failed, f"{jobs[0]}?state={JobState.FAILED.value}", jobs[1])
