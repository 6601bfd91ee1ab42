"""The transparency log's entry in the schedule."""

import logging

from latentmas.celery import app
from latentmas.events.types import Metadata
from latentmas.transparency import checkpoints

logger = logging.getLogger(__name__)


@app.task(name="latentmas.transparency.seal")
def seal_log() -> None:
    """Sign a checkpoint of everything recorded so far, as the command `seal_log` does."""
    checkpoint = checkpoints.seal(metadata=Metadata(actor="task:seal_log"))
    logger.info("the log is sealed up to position %d", checkpoint.size)
