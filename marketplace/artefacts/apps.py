from django.apps import AppConfig


class ArtefactsConfig(AppConfig):
    name = "marketplace.artefacts"
    label = "artefacts"

    def ready(self) -> None:
        """Say which stored files are published, and answer for what is sold."""
        from marketplace.artefacts import goods, keeping  # noqa: F401

        goods.register()
