"""How often one may ask: a budget for each account, or each address without one, in windows of a fixed length.

Reads have one budget, everything else another. What an address without an account may have computed is the smallest;
tokens that are not let in, and log-ins, come out of it too.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from latentmas.rest.observing import PROBES
from latentmas.rest.problems import problem, with_headers

READS, WRITES = "reads", "writes"
BUDGET_PREFIX = "RateLimit-"  # of the headers that show a budget
ANONYMOUS_READS, ANONYMOUS_COMPUTING = "anonymous reads", "anonymous computing"


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a budget after a request; `resets` is in seconds."""

    limit: int
    window: int
    used: int
    resets: int

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit

    def headers(self) -> dict[str, str]:
        return {
            f"{BUDGET_PREFIX}Limit": str(self.limit),
            f"{BUDGET_PREFIX}Remaining": str(max(0, self.limit - self.used)),
            f"{BUDGET_PREFIX}Reset": str(self.resets),
            f"{BUDGET_PREFIX}Policy": f"{self.limit};w={self.window}",
        }


class RouteThrottle(BaseThrottle):
    """The throttle of every API view. It leaves the budget at the request, for its headers."""

    budget: Budget | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        self.budget = spend_for(request, address=self.get_ident(request))
        request._request.budget = self.budget  # type: ignore[attr-defined]
        return self.budget is None or not self.budget.exceeded

    def wait(self) -> float | None:
        return None if self.budget is None else self.budget.resets


class ThrottleMiddleware:
    """Puts the budget's headers on every answer, and throttles what is no API view: pages, log-ins, the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        budget: Budget | None = getattr(request, "budget", None)
        return with_headers(response, budget.headers() if budget else {})

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Refuse a request that exceeds its budget with 429."""
        route = request.resolver_match.route if request.resolver_match else ""
        if hasattr(view, "cls") or route in PROBES:  # an API view asks RouteThrottle itself, after its authentication
            return None
        budget = spend_for(request, address=_address_of(request))
        request.budget = budget  # type: ignore[attr-defined]
        if budget is None or not budget.exceeded:
            return None
        response = problem(429, detail=f"too many requests; wait {budget.resets} seconds")
        response["Retry-After"] = str(budget.resets)
        return response


def spend_for(request: HttpRequest | Request, *, address: str) -> Budget | None:
    """Take one request from the budget it comes out of; None where that has no limit."""
    safe = request.method in SAFE_METHODS
    if request.user.is_authenticated:
        return spend(READS if safe else WRITES, f"account:{request.user.pk}")
    return spend(ANONYMOUS_READS if safe else ANONYMOUS_COMPUTING, f"address:{address}")


def spend_for_reader(request: HttpRequest) -> Budget | None:
    """Take one read from the budget of the address of a request that does not say who it is."""
    return spend(ANONYMOUS_READS, f"address:{_address_of(request)}")


def spend(name: str, whose: str) -> Budget | None:
    """Take one from somebody's budget of this name; None where it has no limit."""
    rate: tuple[int, int] | None = settings.THROTTLES[name]
    if rate is None:
        return None
    limit, window = rate
    now = time.time()
    key = f"throttle:{name}:{whose}:{now // window:.0f}".replace(" ", "-")
    # Added with its first use, so that two processes never start it twice; the cache forgets it after the window.
    used = 1 if cache.add(key, 1, timeout=window) else _increased(key)
    return Budget(limit, window, used, math.ceil(window - now % window))


def _increased(key: str) -> int:
    try:
        return cache.incr(key)
    except ValueError:  # forgotten between the two
        return 1


def _address_of(request: HttpRequest) -> str:
    return str(BaseThrottle().get_ident(request))  # type: ignore[arg-type]  # a plain request will do
