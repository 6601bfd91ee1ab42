"""Codec profiles (a projection, written only by projectors.py), and the ordinary tables of runs and open streams."""

from django.db import models

from latentmas.protocol.quality import Basis

BASES = [(basis.value, basis.value) for basis in Basis]
MAX_DIGEST = 71


class CodecProfile(models.Model):
    """A published codec profile; `curve` holds its measured points (ratio, KL, top-1), figures as decimal text."""

    digest = models.CharField(max_length=MAX_DIGEST, primary_key=True)
    size = models.BigIntegerField()
    model = models.CharField(max_length=100)
    weights = models.CharField(max_length=MAX_DIGEST)
    version = models.CharField(max_length=32)
    width = models.PositiveIntegerField()
    corpus = models.JSONField()
    basis = models.CharField(max_length=20, choices=BASES)
    measured_on = models.JSONField(null=True)
    curve = models.JSONField()
    published_at = models.DateTimeField()

    class Meta:
        ordering = ("model", "-published_at", "digest")
        # For compressing: the newest profile of a model.
        indexes = [models.Index("model", "weights", "published_at", name="profile_model")]


class Operation(models.TextChoices):
    COMPRESS = "compress"
    DECOMPRESS = "decompress"
    VALIDATE = "validate"
    BENCHMARK = "benchmark"
    STREAM = "stream"
    ALIGN = "align"


class CompressionRun(models.Model):
    """One operation on this server and what was measured while it ran. Times are in milliseconds."""

    created_at = models.DateTimeField(auto_now_add=True)
    operation = models.CharField(max_length=20, choices=Operation.choices)
    model = models.CharField(max_length=100)
    method = models.CharField(max_length=40)
    basis = models.CharField(max_length=20, choices=BASES)
    width = models.PositiveIntegerField(null=True, help_text="Numbers in one token's vector.")
    cold = models.BooleanField(help_text="A kernel was compiled during it, so its times say little.")
    compile_ms = models.FloatField()
    duration_ms = models.FloatField(help_text="The whole operation, compiling included.")
    compression_ms = models.FloatField(null=True)
    decompression_ms = models.FloatField(null=True)
    original_bytes = models.BigIntegerField(null=True)
    compressed_bytes = models.BigIntegerField(null=True)
    tokens = models.PositiveIntegerField(null=True)
    tokens_kept = models.PositiveIntegerField(null=True)
    coverage = models.FloatField(null=True, help_text="Attention mass of the kept tokens; null where none were chosen.")
    profile = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001 - null is "without a profile"

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            # For statistics and estimates: the newest runs of a kind.
            models.Index("operation", "model", "method", "created_at", name="run_kind"),
            models.Index("created_at", name="run_created"),
        ]

    @property
    def ratio(self) -> float | None:
        """Original over compressed bytes; None where either was not measured."""
        if self.original_bytes is None or not self.compressed_bytes:
            return None
        return self.original_bytes / self.compressed_bytes


class StreamSession(models.Model):
    """An open stream; its chunks lie below DATA_DIR/streams until it is finished or has expired."""

    id = models.CharField(max_length=32, primary_key=True)
    owner = models.CharField(max_length=100, help_text="token:<id> or user:<key>.")
    model = models.CharField(max_length=100)
    settings = models.JSONField()
    next_chunk = models.PositiveIntegerField(default=0)
    next_position = models.PositiveBigIntegerField(default=0)
    tokens = models.PositiveIntegerField(default=0)
    size = models.BigIntegerField(default=0, help_text="Bytes of all chunks.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("-created_at", "id")
        # For opening a stream: how many its owner has open.
        indexes = [models.Index("owner", "expires_at", name="stream_owner")]
