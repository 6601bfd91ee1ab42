"""The outermost middleware: a request gets its id, is counted and timed by its route, and leaves one log line."""

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

from latentmas import request_ids
from latentmas.metrics import OF_PROCESS

HEADER = "X-Request-ID"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNMATCHED = "unmatched"  # no route: a wrong address, or a body that was refused before it was routed
PROBES = {"healthz", "readyz", "metrics"}  # asked for every few seconds: counted, not logged
LABELS = ("method", "route", "status")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

REQUESTS = Counter("latentmas_requests", "Requests answered.", LABELS, registry=OF_PROCESS)
DURATION = Histogram(
    "latentmas_request_seconds",
    "Time until the answer began; the body of a streamed one may take longer.",
    ("method", "route"),
    buckets=SECONDS,
    registry=OF_PROCESS,
)

logger = logging.getLogger(__name__)


class ObservingMiddleware:
    """A well-formed X-Request-ID is taken over, otherwise one is made; the answer names it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_ids.accepted(request.headers.get(HEADER))
        with request_ids.bound(request_id):
            started = time.perf_counter()
            response = self.get_response(request)
            _note(request, response.status_code, time.perf_counter() - started)
        response[HEADER] = request_id
        return response


def _note(request: HttpRequest, status: int, seconds: float) -> None:
    """Count the request under its route's pattern: an address would name what it is about, and grow without end."""
    route = request.resolver_match.route if request.resolver_match else UNMATCHED
    method = request.method if request.method in METHODS else "OTHER"
    REQUESTS.labels(method, route, f"{status // 100}xx").inc()
    DURATION.labels(method, route).observe(seconds)
    if route not in PROBES:
        facts = {"method": method, "route": route, "status": status, "milliseconds": round(1000 * seconds, 1)}
        logger.info("%s %s %d in %.0f ms", method, route, status, 1000 * seconds, extra=facts)
