from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "latentmas.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from latentmas.jobs.metrics import JobCollector
        from latentmas.metrics import REGISTRY

        autodiscover_modules("jobs")  # where apps register their handlers
        REGISTRY.register(JobCollector())
