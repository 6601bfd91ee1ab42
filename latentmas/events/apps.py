from typing import Any

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class EventsConfig(AppConfig):
    name = "latentmas.events"
    label = "events"
    verbose_name = "Event log"

    def ready(self) -> None:
        from latentmas.events.checks import check_projections, check_triggers
        from latentmas.events.metrics import EventLogCollector
        from latentmas.metrics import REGISTRY

        autodiscover_modules("events", "projectors", "changes")
        post_migrate.connect(install_triggers, sender=self)
        register(check_triggers, Tags.database)
        register(check_projections, Tags.models)
        REGISTRY.register(EventLogCollector())


def install_triggers(*, using: str, **_: Any) -> None:
    """Reinstall triggers that a table rebuild or a flush has dropped."""
    from latentmas.events import triggers

    if triggers.installable(connections[using]):
        triggers.install(connections[using])
