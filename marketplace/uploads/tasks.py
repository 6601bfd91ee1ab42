"""The uploads' entry in the schedule."""

from latentmas.celery import app
from marketplace.uploads import commands


@app.task(name="marketplace.uploads.remove_expired")
def remove_expired() -> None:
    """Delete the uploads that were not published in time, with what has arrived of them."""
    commands.remove_expired()
