from django.apps import AppConfig


class FactoryConfig(AppConfig):
    name = "factory"
    verbose_name = "Alignment factory"

    def ready(self) -> None:
        from factory.first_token import measure
        from kvcache.server import first_token

        first_token.register(measure)
