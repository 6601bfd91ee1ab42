"""The storage's entry in the schedule."""

import logging

from latentmas.blobs.sweeping import sweep
from latentmas.celery import app

logger = logging.getLogger(__name__)


@app.task(name="latentmas.blobs.sweep")
def sweep_blobs() -> None:
    """Delete the files that nobody names, as the command `sweep_blobs` does."""
    swept = sweep()
    logger.info("%d of %d files deleted that nobody names", len(swept.orphans), swept.seen)
