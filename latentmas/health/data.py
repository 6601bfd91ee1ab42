"""Checks of what the database holds: migrations, the log's triggers, its two ends, and the clocks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from latentmas.events import triggers
from latentmas.events.models import Event
from latentmas.events.verification import verify_head
from latentmas.health.findings import Finding, ok, wrong

CLOCKS_APART = timedelta(seconds=5)
VERIFY = "Run `python manage.py verify_log`, and restore a backup where it finds faults."


def append_only() -> Iterator[Finding]:
    if not triggers.installable():
        yield wrong("the tables of the event log are not there", "Run `python manage.py migrate`.")
    elif names := triggers.missing():
        yield wrong(
            f"the event log can be changed: {', '.join(names)} missing or altered",
            "Run `python manage.py migrate`, which installs them, and then `python manage.py verify_log`.",
        )
    else:
        yield ok("the event log is append-only")


def log_head() -> Iterator[Finding]:
    """Compare the head row with the last event; reading every event is `verify_log`'s work."""
    if not triggers.installable():
        return
    faults = list(verify_head())
    yield from (wrong(f"the event log contradicts itself: {each.what}", VERIFY) for each in faults)
    if not faults:
        yield ok("the head row agrees with the last event")


def clocks() -> Iterator[Finding]:
    """Compare this machine's clock with the database's and with the last event's."""
    apart = abs(_database_time() - timezone.now())
    if apart > CLOCKS_APART:
        yield wrong(
            f"the clocks of this machine and of the database are {apart.total_seconds():.0f} seconds apart",
            "Set both by NTP: tokens and certificates expire by them.",
        )
    last = Event.objects.order_by("-position").values_list("recorded_at", flat=True).first()
    if last is not None and last > timezone.now() + CLOCKS_APART:
        yield wrong(
            f"the last event was recorded at {last:%Y-%m-%d %H:%M:%S} UTC, which has not come yet",
            "Set the clock of this machine by NTP; one of those that write is wrong, or was.",
        )
    elif apart <= CLOCKS_APART:
        yield ok("the clocks agree")


def _database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_TIMESTAMP")
        (found,) = cursor.fetchone()
    moment = datetime.fromisoformat(found) if isinstance(found, str) else found  # SQLite has no type for it
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
