from django.apps import AppConfig


class ClaimsConfig(AppConfig):
    name = "marketplace.claims"
    label = "claims"
