"""The id of the request that is being served, and of the job that is being done, wherever code runs for them.

Kept in context variables: what logs a line or records an event reads it here, and need not be handed it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")

_REQUEST: ContextVar[str | None] = ContextVar("request_id", default=None)
_JOB: ContextVar[str | None] = ContextVar("job_id", default=None)


def current() -> str | None:
    """Return the id of the request that this code runs for, None outside of one."""
    return _REQUEST.get()


def current_job() -> str | None:
    """Return the id of the job that this code does, None outside of one."""
    return _JOB.get()


def accepted(given: str | None) -> str:
    """Return the id that a client or a proxy has given where it is well-formed, otherwise a new one."""
    return given if given and WELL_FORMED.fullmatch(given) else uuid4().hex


@contextmanager
def bound(request_id: str | None, *, job_id: str | None = None) -> Iterator[None]:
    """Let the code inside run for this request, and for this job where one is given."""
    request = _REQUEST.set(request_id)
    job = _JOB.set(job_id or _JOB.get())
    try:
        yield
    finally:
        _JOB.reset(job)
        _REQUEST.reset(request)
