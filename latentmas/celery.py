"""The Celery application: transport, routing and schedule of work. What a job is, its row says (latentmas.jobs)."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun
from django.db import close_old_connections

from latentmas import local_broker, request_ids_in_celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "latentmas.settings")
local_broker.register()
request_ids_in_celery.connect()

app = Celery("latentmas")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def leave_logging_to_django(**_: Any) -> None:
    """Keep Celery from giving the root logger a level and handlers of its own: settings.LOGGING says it all."""


@task_prerun.connect
def renew_connections(**_: Any) -> None:
    """Give every task a database connection that works, as Django gives it to every request."""
    close_old_connections()
