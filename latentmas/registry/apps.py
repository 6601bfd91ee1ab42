from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "latentmas.registry"
    label = "registry"
    verbose_name = "Model registry"
