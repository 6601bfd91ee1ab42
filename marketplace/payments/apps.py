from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "marketplace.payments"
    label = "payments"

    def ready(self) -> None:
        """Register the events of payouts."""
        from marketplace.payments import payout_events  # noqa: F401
