from django.apps import AppConfig


class ListingsConfig(AppConfig):
    name = "marketplace.listings"
    label = "listings"

    def ready(self) -> None:
        """Register the second projector."""
        from marketplace.listings import member_projector  # noqa: F401
