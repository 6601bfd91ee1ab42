"""`client.jobs`, long work on a server: look at one of your jobs, or wait until it is done."""

from collections.abc import Callable, Mapping
from typing import Any

from awareness_sdk.errors import AwarenessError, error_of
from awareness_sdk.polling import asked_again
from awareness_sdk.transport import Transport

Result = dict[str, Any]
Progress = Callable[[str, int, int], None]  # stage, done, total
POLL_SECONDS = 1.0
OPEN = ("queued", "running", "waiting")


class JobsClient:
    """`client.jobs`. A job is shown only to the API key that started it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, job_id: str) -> Result:
        """Return a job: `state`, `progress`, and at the end `result` or `problem`. Raises NotFound."""
        return dict(self._transport.json("GET", f"/api/jobs/{job_id}"))

    def list(self, *, open_only: bool = False) -> list[Result]:
        """Return your own jobs, the newest first, or only those that have not ended."""
        answer = self._transport.json("GET", "/api/jobs", params={"open": str(open_only).lower()})
        return [dict(each) for each in answer["results"]]

    def cancel(self, job_id: str) -> Result:
        """Cancel an open job and return it. Raises NotFound, or Conflict where it has ended."""
        return dict(self._transport.json("DELETE", f"/api/jobs/{job_id}"))

    def wait(
        self,
        job: str | Mapping[str, Any],
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> Result:
        """Wait for a job, given by its id or its document, and return its result; `progress` is called as it advances.

        Raises AwarenessError: the job's own problem if it failed, CANCELLED, or TIMEOUT after `timeout` seconds, while
        the job goes on.
        """
        identifier = job if isinstance(job, str) else str(job["id"])
        late = f"the job {identifier} is not done"
        heard = None
        for found in asked_again(lambda: self.get(identifier), timeout=timeout, poll_seconds=poll_seconds, late=late):
            far = (found["progress"]["stage"], found["progress"]["done"], found["progress"]["total"])
            if progress is not None and far != heard and far[0]:
                progress(*far)
                heard = far
            if found["state"] not in OPEN:
                break
        return _ended(found)


def _ended(job: Result) -> Result:
    problem = job["problem"]
    if problem is not None:
        raise error_of(problem["status"], problem)
    if job["state"] == "cancelled":
        raise AwarenessError({"code": "CANCELLED", "detail": f"the job {job['id']} was cancelled"})
    return dict(job["result"])
