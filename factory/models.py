"""Projections of the factory, written only by projectors.py; and the certifier's private texts, which are none."""

from django.db import models

from latentmas.protocol.w_matrix import Space

SPACES = [(space.value, space.value) for space in Space]


class CalibrationPack(models.Model):
    digest = models.CharField(max_length=71, primary_key=True)
    size = models.BigIntegerField()
    model = models.CharField(max_length=100)
    weights = models.CharField(max_length=71)
    corpus = models.CharField(max_length=200)
    corpus_digest = models.CharField(max_length=71)
    calibration_tokens = models.PositiveIntegerField()
    documents = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    space = models.CharField(max_length=20, choices=SPACES)
    contributor = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null is "captured here"
    recorded_at = models.DateTimeField()
    refused = models.TextField(null=True)  # noqa: DJ001 - why it is not used any more; null is "it may be used"

    class Meta:
        ordering = ("model", "digest")
        indexes = [
            # The factory asks: has this model read this corpus already?
            models.Index("model", "weights", "corpus_digest", name="pack_inputs"),
            # An upload asks: is this corpus known?
            models.Index("corpus_digest", name="pack_corpus"),
        ]


class PrivateDraw(models.Model):
    """The private texts that one file is measured on in a rotation; deleted when the rotation is published."""

    rotation = models.PositiveIntegerField()
    file = models.CharField(max_length=71, help_text="sha256:<hex> of the file that is measured.")
    seed = models.BigIntegerField()
    salt = models.CharField(max_length=32)
    texts = models.JSONField(null=True, help_text="By register; null until the target has written its own.")

    class Meta:
        constraints = [models.UniqueConstraint("rotation", "file", name="draw_of_file")]
