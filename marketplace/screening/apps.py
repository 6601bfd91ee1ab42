from django.apps import AppConfig


class ScreeningConfig(AppConfig):
    name = "marketplace.screening"
    label = "screening"
