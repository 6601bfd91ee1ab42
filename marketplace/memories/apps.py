from django.apps import AppConfig


class MemoriesConfig(AppConfig):
    name = "marketplace.memories"
    label = "memories"

    def ready(self) -> None:
        """Connect the signal receiver that deletes a memory's file after its row."""
        from marketplace.memories import commands  # noqa: F401
