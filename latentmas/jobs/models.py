"""Long work that requests, the schedule or other jobs have started: an ordinary table, not a projection of events."""

from datetime import datetime, timedelta
from uuid import uuid4

from django.db import models
from django.db.models import Q

HEARTBEAT_SECONDS = 10.0
STALE_AFTER = timedelta(seconds=60)  # without a heartbeat; the worker is taken to be dead
MAX_KIND = 60


class State(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # for its parts
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (State.QUEUED, State.RUNNING, State.WAITING)


class Job(models.Model):
    """One job. `result` is set when it is done, `problem` (RFC 9457) when it has failed.

    The row decides who runs it: a message is only a hint, so a lost or a second one changes nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid4)
    kind = models.CharField(max_length=MAX_KIND)
    arguments = models.JSONField()
    requested_by = models.CharField(max_length=100, help_text="token:<id>, user:<key> or factory.")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="parts")
    part = models.CharField(max_length=40, blank=True, help_text="Which call of its parent's, and which part of it.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    stage = models.CharField(max_length=200, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True)
    problem = models.JSONField(null=True)
    claim = models.UUIDField(null=True, help_text="Of the worker that runs it; another one's writes come to nothing.")
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    deadline = models.DateTimeField(help_text="Still open then, it fails.")
    sent_at = models.DateTimeField(null=True, help_text="When its last message went to the broker.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    heartbeat = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "id")
        constraints = [
            models.UniqueConstraint("parent", "part", name="job_part", condition=Q(parent__isnull=False)),
        ]
        indexes = [
            # For the schedule: what waits, whose worker has died, and what is overdue.
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
