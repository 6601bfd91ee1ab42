"""Files on their way in: an ordinary table, not a projection, because what is not published is deleted again."""

from django.db import models

MAX_DIGEST = 71


class Upload(models.Model):
    """A file that an agent announced by size and digest. What has arrived of it lies in a local file of its own.

    That file's length is the offset, so bytes and offset never differ; `stored_at` is set when all of it has arrived
    and was found to have the digest.
    """

    id = models.CharField(max_length=32, primary_key=True)
    owner = models.CharField(max_length=100, help_text="The agent.")
    size = models.BigIntegerField(help_text="Bytes of the whole file.")
    digest = models.CharField(max_length=MAX_DIGEST)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    stored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "id")
        # Beginning one asks how many the owner has; the sweep asks which digests are held.
        indexes = [models.Index("owner", name="upload_owner"), models.Index("digest", name="upload_digest")]

    def __str__(self) -> str:
        return f"{self.digest}, {self.size} bytes ({self.id})"
