from django.apps import AppConfig


class ArtefactsConfig(AppConfig):
    name = "marketplace.artefacts"
    label = "artefacts"

    def ready(self) -> None:
        """Say which stored files are published."""
        from marketplace.artefacts import keeping  # noqa: F401
