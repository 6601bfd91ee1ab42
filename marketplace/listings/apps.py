from django.apps import AppConfig


class ListingsConfig(AppConfig):
    name = "marketplace.listings"
    label = "listings"

    def ready(self) -> None:
        from marketplace.listings import signing  # noqa: F401 - registers its event and what of it may be shown
