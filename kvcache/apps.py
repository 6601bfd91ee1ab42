from django.apps import AppConfig


class KVCacheConfig(AppConfig):
    name = "kvcache"
    verbose_name = "KV-cache compression"

    def ready(self) -> None:
        from kvcache.telemetry import RunCollector
        from latentmas.rest.service import REGISTRY

        REGISTRY.register(RunCollector())
