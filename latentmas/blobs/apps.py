from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class BlobsConfig(AppConfig):
    name = "latentmas.blobs"
    label = "blobs"
    verbose_name = "Files"

    def ready(self) -> None:
        autodiscover_modules("holdings")  # where apps say which files they hold
