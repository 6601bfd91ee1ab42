"""`Idempotency-Key`: a request that is sent again is answered again, and not carried out twice.

1. Claim the key in a transaction of its own, so that a second request meanwhile is told that the first is under way.
2. Carry out the request and store its answer in one transaction: both are committed or neither.
3. Where the request fails, give the key up: nothing was done, and it may be tried again.

A claim whose process has died can be taken over after `CLAIM_SECONDS`. Should its process live after all, it finds the
claim gone and rolls back.
"""

import functools as ft
import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.transactions import transact
from latentmas.idempotency.errors import AnswerNotKept, IdempotencyKeyReused, RequestInFlight
from latentmas.idempotency.models import MAX_KEY, IdempotencyKey
from latentmas.protocol.errors import InvalidInput

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY}}}", re.ASCII)
CLAIM_SECONDS = 300
KEPT_HEADERS = ("Location", "ETag", "Cache-Control", "PAYMENT-RESPONSE")
PARAMETER = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Repeat the request with the same key, and it is answered again without being carried out twice.",
)


def idempotent(*, keep: bool = True, atomic: bool = True) -> Callable[[View], View]:
    """Decorate a view, below `api_view`: its POSTs honour `Idempotency-Key`, with `once`."""

    def decorate(view: View) -> View:
        @ft.wraps(view)
        def wrapped(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method != "POST":
                return view(request, *args, **kwargs)
            return once(request, lambda: view(request, *args, **kwargs), keep=keep, atomic=atomic)

        return cast(View, wrapped)

    return decorate


def once(
    request: Request,
    work: Callable[[], HttpResponseBase],
    *,
    body: str | None = None,
    keep: bool = True,
    atomic: bool = True,
) -> HttpResponseBase:
    """Return the answer of `work`, or the one that this request was given before under its key.

    `body` is the digest of a body that is a file; JSON is read here. A JSON answer is kept; without `keep`, which is
    for secrets and files, only that there was one. Without `atomic` the work has transactions of its own, because it is
    slow, and must do no harm when it is repeated after a crash.

    Raises IdempotencyKeyReused, RequestInFlight, AnswerNotKept, InvalidInput and what `work` raises.
    """
    key = request.headers.get(HEADER)
    if key is None or not request.user.is_authenticated:
        return work()
    if KEY.fullmatch(key) is None:
        raise InvalidInput(f"{HEADER} must have 1 to {MAX_KEY} visible ASCII characters", field=HEADER)
    claim = uuid4()
    account, fingerprint = request.user, _fingerprint(request, body)
    known = transact(lambda: _claimed(account, key=key, fingerprint=fingerprint, claim=claim))
    if known is not None:
        return _replay(known)

    def carried_out() -> HttpResponseBase:
        response = work()
        _keep(claim, response, keep=keep)
        return response

    def whole() -> HttpResponseBase:
        if atomic:
            return transact(carried_out, conflicts="If-Match" not in request.headers)
        return carried_out()

    try:
        return whole()
    except BaseException:
        IdempotencyKey.objects.filter(claim=claim).delete()
        raise


def _claimed(account: User, *, key: str, fingerprint: str, claim: UUID) -> IdempotencyKey | None:
    """Return the row of a request that was answered before, None where this one now has the key."""
    now = timezone.now()
    fresh = {"fingerprint": fingerprint, "claim": claim, "claimed_at": now}
    row, created = IdempotencyKey.objects.get_or_create(account=account, key=key, defaults=fresh)
    if created:
        return None
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused(f"the key {key!r} was used with another address or body", field=HEADER)
    if row.status is not None:
        return row
    stale = now - timedelta(seconds=CLAIM_SECONDS)
    if IdempotencyKey.objects.filter(pk=row.pk, status=None, claimed_at__lt=stale).update(claim=claim, claimed_at=now):
        return None
    raise RequestInFlight(f"a request with the key {key!r} is being carried out")


def _keep(claim: UUID, response: HttpResponseBase, *, keep: bool) -> None:
    kept = keep and isinstance(response, Response)
    stored = IdempotencyKey.objects.filter(claim=claim).update(
        status=response.status_code,
        headers={name: response[name] for name in KEPT_HEADERS if name in response},
        body=JSONRenderer().render(response.data).decode() if kept else None,  # type: ignore[attr-defined]
    )
    if stored != 1:
        raise RequestInFlight("another request has taken over the key, because this one took too long")


def _replay(row: IdempotencyKey) -> HttpResponse:
    if row.body is None:
        where = {"location": row.headers["Location"]} if "Location" in row.headers else {}
        raise AnswerNotKept(f"this request was answered before, with {row.status}", status=row.status, **where)
    replay = HttpResponse(row.body, status=row.status, content_type="application/json", headers=row.headers)
    replay[REPLAYED] = "true"
    return replay


def _fingerprint(request: Request, body: str | None) -> str:
    content = json.dumps(request.data, sort_keys=True) if body is None else body
    parts = (request.method, request.get_full_path(), content)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
