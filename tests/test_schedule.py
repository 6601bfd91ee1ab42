"""Every entry of the schedule is a task that some module registers, and runs."""

import pytest
from django.conf import settings

from latentmas.celery import app

QUEUES = {queue.name for queue in settings.CELERY_TASK_QUEUES}


@pytest.mark.django_db
@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_what_the_schedule_names_exists_and_runs(name: str, own_files, load_models) -> None:
    load_models("gpt-4", "claude-3-opus")
    entry = settings.CELERY_BEAT_SCHEDULE[name]
    app.loader.import_default_modules()
    app.tasks[entry["task"]]()
    assert entry.get("options", {}).get("queue", settings.CELERY_TASK_DEFAULT_QUEUE) in QUEUES
