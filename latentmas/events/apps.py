from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class EventsConfig(AppConfig):
    name = "latentmas.events"
    label = "events"
    verbose_name = "Event log"

    def ready(self) -> None:
        autodiscover_modules("events", "projectors")
