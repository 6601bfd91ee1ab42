"""Answers to whoever does not say who he is, kept by this process as long as they hold.

Whatever the API shows to everybody follows from the log, apart from what runs out by the clock. So an answer holds
until an event is recorded, or until the time that its view names; LONGEST is for what is done past the log, such as a
rebuild. A view says by `kept` that its answers may be kept; the middleware keeps them as they leave, and gives them
again before anything else is done.
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
from django.utils.cache import get_conditional_response
from rest_framework.response import Response

from latentmas.events.store import head_position
from latentmas.rest.problems import with_headers
from latentmas.rest.throttles import BUDGET_PREFIX, spend_for_reader

MOST = 500  # answers, of some 25 KB each
LONGEST = timedelta(seconds=60)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    headers: dict[str, str]
    route: Any  # for who counts requests by it
    head: int
    until: datetime


_answers: OrderedDict[Key, _Answer] = OrderedDict()  # the least lately asked for comes first
_lock = threading.Lock()


def kept(view: Callable[..., HttpResponseBase]) -> Any:
    """Decorate a view whose answers to a GET are the same for all who send neither token nor session."""

    @ft.wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if _may_be_a_stranger(request):
            _note_head(request)
        return view(request, *args, **kwargs)

    return answered


def kept_until(response: Response, times: Iterable[datetime | None]) -> Response:
    """Let the response be kept until the first of these times that is still to come."""
    now = timezone.now()
    ends = [at for at in times if at is not None and at > now]
    response.kept_until = min(ends, default=None)  # type: ignore[attr-defined]
    return response


def forget() -> None:
    """Forget all answers: for a database that is another one than before."""
    with _lock:
        _answers.clear()


class KeptAnswersMiddleware:
    """Gives kept answers to strangers' GETs, out of the budget of their address, and keeps those that may be kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _may_be_a_stranger(request):
            return self.get_response(request)
        key = (request.build_absolute_uri(), request.headers.get("Accept", ""))
        if (found := _found(key, request)) and (given := _given(found, request)):
            return given
        response = self.get_response(request)
        head: int | None = getattr(request, "kept_head", None)
        if head is not None and response.status_code == 200 and isinstance(response, HttpResponse):
            _keep(key, response, route=request.resolver_match, head=head)
        return response


def _may_be_a_stranger(request: HttpRequest) -> bool:
    known = "Authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    return request.method == "GET" and not known


def _note_head(request: HttpRequest) -> int:
    """Return the log's head as the request found it.

    It is read before the answer is made: one that an event overtakes is made again, not kept under that event.
    """
    if not hasattr(request, "kept_head"):
        request.kept_head = head_position()  # type: ignore[attr-defined]
    return int(request.kept_head)  # type: ignore[attr-defined]


def _found(key: Key, request: HttpRequest) -> _Answer | None:
    """Return the answer that holds at this moment."""
    answer = _answers.get(key)
    if answer is None or answer.head != _note_head(request) or answer.until <= timezone.now():
        return None
    with _lock:
        if key in _answers:
            _answers.move_to_end(key)
    return answer


def _given(answer: _Answer, request: HttpRequest) -> HttpResponseBase | None:
    """Return the answer out of the budget of the request's address; None where that is exceeded: the view says so."""
    budget = spend_for_reader(request)
    if budget is not None and budget.exceeded:
        return None
    request.resolver_match = answer.route
    response = HttpResponse(answer.body, headers=answer.headers)
    given = get_conditional_response(request, etag=answer.headers.get("ETag"), response=response) or response
    return with_headers(given, budget.headers() if budget else {})


def _keep(key: Key, response: HttpResponse, *, route: Any, head: int) -> None:
    longest = timezone.now() + LONGEST
    until = min(getattr(response, "kept_until", None) or longest, longest)
    headers = {name: value for name, value in response.headers.items() if not name.startswith(BUDGET_PREFIX)}
    with _lock:
        _answers[key] = _Answer(response.content, headers, route, head, until)
        if len(_answers) > MOST:
            _answers.popitem(last=False)
