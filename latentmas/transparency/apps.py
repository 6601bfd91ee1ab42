from django.apps import AppConfig


class TransparencyConfig(AppConfig):
    name = "latentmas.transparency"
    label = "transparency"
    verbose_name = "Transparency of the log"

    def ready(self) -> None:
        from latentmas.metrics import REGISTRY
        from latentmas.transparency.metrics import CheckpointCollector

        REGISTRY.register(CheckpointCollector())
