from django.apps import AppConfig


class ListingsConfig(AppConfig):
    name = "marketplace.listings"
    label = "listings"

    def ready(self) -> None:
        """Register the second projector, the signatures' event and what of it may be shown, and the goods."""
        from marketplace.listings import member_projector  # noqa: F401
        from marketplace.listings.certificates import signing  # noqa: F401
        from marketplace.listings.goods import WMatrices
        from marketplace.sales.goods import Kind, sells

        sells(Kind.W_MATRIX, WMatrices())
