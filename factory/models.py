"""Projections of the factory, written only by projectors.py."""

from django.db import models


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
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ("model", "digest")
        # The factory asks: has this model read this corpus already?
        indexes = [models.Index("model", "weights", "corpus_digest", name="pack_inputs")]
