"""Answers to whoever does not say who he is, kept by this process as long as they hold.

Whatever the API shows to everybody follows from the log, apart from what runs out by the clock. So an answer holds
until an event is recorded, or until the time that its view names; LONGEST is for what is done past the log, such as a
rebuild.
"""

import functools as ft
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.response import Response

from latentmas.events.store import head_position
from latentmas.rest.throttles import spend_for_reader

MOST = 500  # answers, of some 25 KB each
LONGEST = timedelta(seconds=60)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    headers: dict[str, str]
    head: int
    until: datetime


_answers: OrderedDict[Key, _Answer] = OrderedDict()  # the least lately asked for comes first
_lock = threading.Lock()


def kept(view: Callable[..., HttpResponseBase]) -> Any:
    """Decorate an API view; its answers to a GET must be the same for all who send neither token nor session.

    A view whose answer ceases to hold by the clock says when, by `kept_until`.
    """

    @ft.wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "GET" or "Authorization" in request.headers or _session_of(request):
            return view(request, *args, **kwargs)
        key = (request.build_absolute_uri(), request.headers.get("Accept", ""))
        # Read before the answer is made: one that an event overtakes is made again, not kept under that event.
        head = head_position()
        if (found := _found(key, head)) and _within_budget(request):
            return HttpResponse(found.body, headers=found.headers)
        response = view(request, *args, **kwargs)
        if response.status_code == 200 and isinstance(response, Response):
            _keep(key, response.render(), head)
        return response

    return answered


def kept_until(response: Response, times: Iterable[datetime | None]) -> Response:
    """Let the response be kept until the first of these times that is still to come."""
    now = timezone.now()
    response.kept_until = min((at for at in times if at is not None and at > now), default=None)  # type: ignore[attr-defined]
    return response


def forget() -> None:
    """Forget all answers: for a database that is another one than before."""
    with _lock:
        _answers.clear()


def _found(key: Key, head: int) -> _Answer | None:
    with _lock:
        answer = _answers.get(key)
        if answer is None or answer.head != head or answer.until <= timezone.now():
            return None
        _answers.move_to_end(key)
        return answer


def _keep(key: Key, response: Response, head: int) -> None:
    longest = timezone.now() + LONGEST
    until = min(getattr(response, "kept_until", None) or longest, longest)
    answer = _Answer(response.content, dict(response.headers), head, until)
    with _lock:
        _answers[key] = answer
        if len(_answers) > MOST:
            _answers.popitem(last=False)


def _session_of(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def _within_budget(request: HttpRequest) -> bool:
    """Take the request from its address's budget; where that is exceeded, the view itself answers so."""
    budget = spend_for_reader(request)
    request.budget = budget  # type: ignore[attr-defined]
    return budget is None or not budget.exceeded
