"""Carry request ids through Celery: the publisher writes its id into the message, the worker binds it for the task.

A task published outside of a request carries no id. The task's own id is that of the job in log lines: a job's message
is sent under the job's id (latentmas.jobs.sending).
"""

from contextlib import AbstractContextManager
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun

from latentmas import request_ids

HEADER = "latentmas_request_id"

_bound: dict[str, AbstractContextManager[None]] = {}  # task id -> what ends its binding


def connect() -> None:
    """Let Celery call the functions below; more than once is the same as once."""
    before_task_publish.connect(write_header)
    task_prerun.connect(bind)
    task_postrun.connect(unbind)


def write_header(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None and (request_id := request_ids.current()) is not None:
        headers[HEADER] = request_id


def bind(task_id: str, task: "Task[Any, Any]", **_: Any) -> None:
    # A task that is run at once, in the process that called it, has no message: it keeps its caller's id.
    request_id = task.request.get(HEADER) or request_ids.current()
    _bound[task_id] = request_ids.bound(request_id, job_id=task_id)
    _bound[task_id].__enter__()


def unbind(task_id: str, **_: Any) -> None:
    if (binding := _bound.pop(task_id, None)) is not None:
        binding.__exit__(None, None, None)
