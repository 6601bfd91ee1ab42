from django.apps import AppConfig


class KVCacheConfig(AppConfig):
    name = "kvcache.server"
    label = "kvcache"
    verbose_name = "KV-cache compression"

    def ready(self) -> None:
        from kvcache.server.statistics import RunCollector
        from latentmas.metrics import REGISTRY

        REGISTRY.register(RunCollector())
