"""The REST address of a job: its state, its progress, and its result or problem."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.jobs import background
from latentmas.jobs.models import Job, State
from latentmas.jobs.queries import get_job
from latentmas.rest.permissions import requester
from latentmas.rest.problems import ProblemOutput

POLL_SECONDS = 2


class JobProgressOutput(serializers.Serializer[Any]):
    stage = serializers.CharField(help_text="What is being done; empty before anything is.")
    done = serializers.IntegerField()
    total = serializers.IntegerField(help_text="Of this stage alone; 0: not known.")


class JobOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.ChoiceField(State.values)
    progress = JobProgressOutput()
    result = serializers.DictField(allow_null=True, help_text="When it is done.")
    problem = ProblemOutput(allow_null=True, help_text="When it has failed: the problem document.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField()


@extend_schema(
    operation_id="jobs_retrieve", responses={200: JobOutput, (404, "application/problem+json"): ProblemOutput}
)
@api_view(["GET"])
@permission_classes([IsAuthenticated])
def job(request: Request, job_id: str) -> Response:
    """Return a job of your own: its state, how far it is, and at the end its result or its problem."""
    row = get_job(job_id, requested_by=requester(request))
    if row.waits_at(timezone.now()):
        background.wake()  # it may have been left behind by a process that ended
    return job_answer(row)


def job_answer(row: Job, *, status: int = 200) -> Response:
    """Return the response that shows a job, with `Retry-After` while it is open and `Location` with status 202."""
    response = Response(document_of(row), status=status)
    response["Cache-Control"] = "no-store"
    if row.is_open:
        response["Retry-After"] = str(POLL_SECONDS)
    if status == 202:
        response["Location"] = url_of(row)
    return response


def document_of(row: Job) -> dict[str, Any]:
    same = ("kind", "state", "result", "problem", "created_at", "started_at", "finished_at")
    return {
        "id": str(row.id),
        **{name: getattr(row, name) for name in same},
        "progress": {"stage": row.stage, "done": row.done, "total": row.total},
        "url": url_of(row),
    }


def url_of(row: Job) -> str:
    return f"/api/jobs/{row.id}"
