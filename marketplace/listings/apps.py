from django.apps import AppConfig


class ListingsConfig(AppConfig):
    name = "marketplace.listings"
    label = "listings"

    def ready(self) -> None:
        """Register the second projector, and the signatures' event and what of it may be shown."""
        from marketplace.listings import member_projector, signing  # noqa: F401
