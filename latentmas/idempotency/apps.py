from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    name = "latentmas.idempotency"
    label = "idempotency"
    verbose_name = "Idempotency keys"
