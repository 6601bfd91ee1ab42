"""The tables of the event store. `Event` is append-only in the database itself (see triggers.py)."""

from django.db import models


class PositionField(models.BigIntegerField):  # type: ignore[type-arg]
    """A 64-bit key that SQLite treats as its rowid.

    With any other type SQLite keeps a hidden rowid beside the key, and `INSERT OR REPLACE` could use it to overwrite a
    row past every guard.
    """

    def db_type(self, connection):  # type: ignore[no-untyped-def]
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


class Event(models.Model):
    position = PositionField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    stream = models.CharField(max_length=200)
    version = models.PositiveIntegerField()
    type = models.CharField(max_length=100, db_index=True)
    schema = models.PositiveSmallIntegerField()
    payload = models.JSONField()
    metadata = models.JSONField()
    recorded_at = models.DateTimeField()
    body = models.BinaryField(help_text="Canonical JSON of everything above but the position; the truth.")
    salt = models.BinaryField(max_length=16)
    leaf_hash = models.BinaryField(max_length=32)

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["stream", "version"], name="event_stream_version")]


class LogHead(models.Model):
    """The single row whose lock orders commits: positions are gapless and become visible in order."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    position = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="log_head_single_row")]


class FollowerCursor(models.Model):
    """How far a follower has read; moved in the same transaction as the follower's work."""

    name = models.CharField(max_length=100, primary_key=True)
    position = models.BigIntegerField(default=0)
