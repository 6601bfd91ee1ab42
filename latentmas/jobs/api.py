"""The REST addresses of jobs: what you have started, and what the factory has under way."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.jobs.commands import cancel
from latentmas.jobs.models import OPEN, Job, State
from latentmas.jobs.queries import get_job, jobs_of, seconds_left, title_of, under_way
from latentmas.rest.parameters import StrictSerializer, read, snake_keys
from latentmas.rest.permissions import requester
from latentmas.rest.problems import ProblemOutput

POLL_SECONDS = 2
MAX_LIMIT = 100
PROBLEM = {(404, "application/problem+json"): ProblemOutput}


class JobProgressOutput(serializers.Serializer[Any]):
    stage = serializers.CharField(help_text="What is being done; empty before anything is.")
    done = serializers.IntegerField()
    total = serializers.IntegerField(help_text="Of this stage alone; 0: not known.")


class JobOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    state = serializers.ChoiceField(State.values)
    progress = JobProgressOutput()
    seconds_left = serializers.IntegerField(allow_null=True, help_text="About; null: not known.")
    result = serializers.DictField(allow_null=True, help_text="When it is done.")
    problem = ProblemOutput(allow_null=True, help_text="When it has failed: the problem document.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    deadline = serializers.DateTimeField(help_text="Still open then, it fails.")
    url = serializers.CharField()


class UnderWayOutput(serializers.Serializer[Any]):
    """A job of the factory's own: what it is, how far it is, and nothing of who asked."""

    title = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in OPEN])
    progress = JobProgressOutput()
    seconds_left = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)


class JobsInput(StrictSerializer):
    open = serializers.BooleanField(required=False, default=False, help_text="Leave out what has ended.")
    limit = serializers.IntegerField(required=False, default=25, min_value=1, max_value=MAX_LIMIT)


class JobsOutput(serializers.Serializer[Any]):
    results = JobOutput(many=True, help_text="Your own, the newest first; none without an account.")
    under_way = UnderWayOutput(many=True, help_text="The factory's open jobs.")


@extend_schema(operation_id="jobs_list", parameters=[JobsInput], responses={200: JobsOutput, **PROBLEM})
@api_view(["GET"])
@permission_classes([AllowAny])
def jobs(request: Request) -> Response:
    """List your own jobs, and what the factory has under way."""
    wanted = read(snake_keys(request.query_params.dict()), JobsInput)
    mine = jobs_of(requester(request)) if request.user.is_authenticated else Job.objects.none()
    if wanted["open"]:
        mine = mine.filter(state__in=OPEN)
    answer = {
        "results": [document_of(row) for row in mine[: wanted["limit"]]],
        "under_way": [public_document_of(row) for row in under_way()[:MAX_LIMIT]],
    }
    response = Response(answer)
    response["Cache-Control"] = "no-store"
    return response


@extend_schema(methods=["GET"], operation_id="jobs_retrieve", responses={200: JobOutput, **PROBLEM})
@extend_schema(methods=["DELETE"], operation_id="jobs_cancel", responses={200: JobOutput, **PROBLEM})
@api_view(["GET", "DELETE"])
@permission_classes([IsAuthenticated])
def job(request: Request, job_id: str) -> Response:
    """Return a job of your own: its state, how far it is, its result or problem. DELETE cancels one that is open."""
    row = get_job(job_id, requested_by=requester(request))
    return job_answer(cancel(row) if request.method == "DELETE" else row)


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
    same = ("kind", "state", "result", "problem", "created_at", "started_at", "finished_at", "deadline")
    return {
        "id": str(row.id),
        **{name: getattr(row, name) for name in same},
        "progress": _progress_of(row),
        "seconds_left": seconds_left(row, at=timezone.now()),
        "url": url_of(row),
    }


def public_document_of(row: Job) -> dict[str, Any]:
    return {
        "title": title_of(row),
        "state": row.state,
        "progress": _progress_of(row),
        "seconds_left": seconds_left(row, at=timezone.now()),
        "started_at": row.started_at,
    }


def url_of(row: Job) -> str:
    return f"/api/jobs/{row.id}"


def _progress_of(row: Job) -> dict[str, Any]:
    return {"stage": row.stage, "done": row.done, "total": row.total}
