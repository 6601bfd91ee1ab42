from django.apps import AppConfig


class MemoriesConfig(AppConfig):
    name = "marketplace.memories"
    label = "memories"

    def ready(self) -> None:
        """Connect the command that deletes files after their rows."""
        from marketplace.memories import commands  # noqa: F401
