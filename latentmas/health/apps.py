from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "latentmas.health"
    verbose_name = "Health"
