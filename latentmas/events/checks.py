"""System checks: the log's triggers are in place, and projections keep the rules that make a rebuild exact."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.db.models import AutoField

from latentmas.events import triggers
from latentmas.events.projections import projectors


def check_triggers(
    *, app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Warn of every missing trigger; no error, which would stop `migrate`, the command that repairs it."""
    return [
        Warning(
            f"the event log on the database {alias!r} is not append-only: {', '.join(names)} missing or altered",
            hint="Run `python manage.py migrate`, which installs them, and then `python manage.py verify_log`.",
            id="events.W001",
        )
        for alias in databases or ()
        if triggers.installable(connections[alias]) and (names := triggers.missing(connections[alias]))
    ]


def check_projections(*, app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse projections with automatic primary keys: a rebuild would assign other ones."""
    return [
        Error(
            f"{model._meta.label} is a projection with an automatic primary key",
            hint="Take the primary key from the events.",
            id="events.E001",
        )
        for each in projectors()
        for model in each.writes
        if isinstance(model._meta.pk, AutoField)
    ]
