"""What users report about listings: an ordinary table, because what persons write must be erasable."""

from django.conf import settings
from django.db import models
from django.db.models import Q

MAX_TEXT = 2000


class Kind(models.TextChoices):
    """What a report is about."""

    HARMFUL = "harmful", "it harms who uses it"
    FIGURES = "figures", "its figures are not true"
    RIGHTS = "rights", "it infringes somebody's rights"
    SPAM = "spam", "it is spam"
    OTHER = "other", "something else"


class Outcome(models.TextChoices):
    UPHELD = "upheld"
    DISMISSED = "dismissed"


class Report(models.Model):
    """An observation of one user about one listing; whether it is right, a curator decides."""

    id = models.CharField(max_length=36, primary_key=True)
    listing_id = models.CharField(max_length=36)
    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="listing_reports"
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    text = models.TextField(help_text="Empty once it is erased.")
    created_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices, null=True)  # noqa: DJ001 - null: it is open
    note = models.TextField(blank=True, help_text="Why the curator decided so.")
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="resolved_reports"
    )
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=("listing_id", "reporter"), name="report_open_once", condition=Q(outcome__isnull=True)
            )
        ]
        indexes = [
            # The queue of moderation, the oldest first.
            models.Index("created_at", "id", name="report_open", condition=Q(outcome__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
