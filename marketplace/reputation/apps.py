from django.apps import AppConfig


class ReputationConfig(AppConfig):
    name = "marketplace.reputation"
    label = "reputation"
