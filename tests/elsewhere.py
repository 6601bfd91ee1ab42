"""What other processes than this one are told: the test's database, brokers, and addresses at which none answers."""

import pytest
from celery import Celery
from django.db import connection

from latentmas import settings
from latentmas.celery import app
from latentmas.jobs import sending

NOBODY = {  # listens at port 1
    "amqp": "amqp://guest:guest@127.0.0.1:1//",
    "redis": "redis://127.0.0.1:1/0",
}


def send_to(url: str, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """Let this process send its messages to another broker, as if it had been started with that address."""
    celery = Celery("elsewhere", broker=url, set_as_current=False)
    celery.conf.update(
        task_queues=app.conf.task_queues,
        broker_connection_timeout=settings.CELERY_BROKER_CONNECTION_TIMEOUT,
        broker_transport_options=settings.BROKERS[url.partition(":")[0]],
    )
    monkeypatch.setattr(sending, "app", celery)
    return celery


def database_url() -> str:
    """Return the address of the database that the test has, for other processes."""
    about = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{about['NAME']}"
    login = ":".join(filter(None, [about["USER"], about["PASSWORD"]]))
    return f"postgres://{login}@{about['HOST']}:{about['PORT'] or 5432}/{about['NAME']}"
