"""The queue of long work that requests have started: an ordinary table, not a projection of events."""

from datetime import datetime, timedelta
from uuid import uuid4

from django.db import models
from django.db.models import Q

STALE_AFTER = timedelta(seconds=60)  # without a heartbeat; the worker is taken to be dead
MAX_KIND = 60


class State(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


OPEN = (State.QUEUED, State.RUNNING)


class Job(models.Model):
    """One job. `result` is set when it is done, `problem` (RFC 9457) when it has failed."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    kind = models.CharField(max_length=MAX_KIND)
    arguments = models.JSONField()
    requested_by = models.CharField(max_length=100, help_text="token:<id> or user:<key>.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    stage = models.CharField(max_length=200, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True)
    problem = models.JSONField(null=True)
    claim = models.UUIDField(null=True, help_text="Of the worker that runs it; another one's writes come to nothing.")
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    heartbeat = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "id")
        indexes = [
            # For workers: the oldest job that waits, or whose worker has died.
            models.Index("state", "created_at", name="job_open", condition=Q(state__in=OPEN)),
            # For starting a job: how many the requester has open.
            models.Index("requested_by", "state", name="job_requester"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def waits_at(self, at: datetime) -> bool:
        """Return whether a worker should take it: it is queued, or its worker's heartbeat is stale."""
        if self.state == State.RUNNING:
            return self.heartbeat is None or self.heartbeat < at - STALE_AFTER
        return self.state == State.QUEUED
