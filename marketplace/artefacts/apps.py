from django.apps import AppConfig


class ArtefactsConfig(AppConfig):
    name = "marketplace.artefacts"
    label = "artefacts"
