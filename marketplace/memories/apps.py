from django.apps import AppConfig


class MemoriesConfig(AppConfig):
    name = "marketplace.memories"
    label = "memories"

    def ready(self) -> None:
        """Connect what removes files."""
        from marketplace.memories import files  # noqa: F401
