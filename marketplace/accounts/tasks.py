"""The accounts' entry in the schedule."""

from django.core.management import call_command

from latentmas.celery import app


@app.task(name="marketplace.accounts.clear_sessions")
def clear_sessions() -> None:
    """Delete the sessions that have expired."""
    call_command("clearsessions")
