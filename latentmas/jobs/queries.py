"""Reads of jobs. Only its requester sees a job; for anybody else it does not exist."""

from uuid import UUID

from latentmas.jobs.models import Job
from latentmas.protocol.errors import NotFound


def get_job(identifier: str, *, requested_by: str) -> Job:
    """Return a job of the requester's own. Raises NotFound."""
    try:
        key = UUID(identifier)
    except ValueError:
        key = None
    row = None if key is None else Job.objects.filter(id=key, requested_by=requested_by).first()
    if row is None:
        raise NotFound(
            f"you have no job {identifier!r}",
            resolution="Ask with the token that started it; finished jobs are kept for 30 days.",
        )
    return row
