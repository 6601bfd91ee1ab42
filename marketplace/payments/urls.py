"""REST addresses of top-ups and payouts, below /api/."""

from django.urls import path

from marketplace.payments import payouts_api, stripe_api, top_ups_api

urlpatterns = [
    path("top-ups", top_ups_api.top_ups, name="top-ups"),
    path("top-ups/<str:top_up_id>", top_ups_api.top_up, name="top-up"),
    path("payouts", payouts_api.payouts, name="payouts"),
    path("payouts/<str:payout_id>", payouts_api.payout, name="payout"),
    path("payments/stripe/webhook", stripe_api.stripe_webhook, name="stripe-webhook"),
]
