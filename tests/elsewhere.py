"""Other message brokers than that of the test run, and addresses at which none answers."""

import pytest
from celery import Celery

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
