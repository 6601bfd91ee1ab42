"""The engine's entry in the schedule."""

from kvcache.server.streams import remove_expired
from latentmas.celery import app


@app.task(name="kvcache.server.remove_expired_streams")
def remove_expired_streams() -> None:
    """Delete the streams that were not finished in time, with their chunks."""
    remove_expired()
