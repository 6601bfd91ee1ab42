"""Authentication by API token, `Authorization: Bearer lmas_...`; `request.auth.scopes` are the token's scopes."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from latentmas.rest.throttles import ANONYMOUS_COMPUTING, spend
from marketplace.accounts import secrets
from marketplace.accounts.models import ApiToken

SCHEME = "bearer"
REALM = 'Bearer realm="LatentMAS"'
USE_RECORDED_EVERY = timedelta(minutes=1)


class TokenAuthentication(BaseAuthentication):
    """Raises AuthenticationFailed (401) for a token that is unknown, expired or revoked.

    Each costs its address a computation, so that nobody tries tokens for long; then Throttled (429).
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        try:
            return self._authenticated(token.strip())
        except AuthenticationFailed:
            budget = spend(ANONYMOUS_COMPUTING, f"address:{BaseThrottle().get_ident(request)}")
            request._request.budget = budget  # type: ignore[attr-defined]
            if budget is not None and budget.exceeded:
                raise Throttled(budget.resets) from None
            raise

    def _authenticated(self, token: str) -> tuple[User, ApiToken]:
        row = _row_of(token)
        now = timezone.now()
        if (state := row.state_at(now)) != "valid":
            raise AuthenticationFailed(f"the token {row.name!r} is {state}")
        if not row.owner.is_active:
            raise AuthenticationFailed("the account of this token is not active")
        unrecorded = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_RECORDED_EVERY)
        if row.last_used_at is None or row.last_used_at < now - USE_RECORDED_EVERY:
            ApiToken.objects.filter(unrecorded, id=row.id).update(last_used_at=now)
        return row.owner, row

    def authenticate_header(self, request: Request) -> str:
        return REALM


def _row_of(token: str) -> ApiToken:
    identifier = secrets.id_of(token)
    row = ApiToken.objects.select_related("owner").filter(id=identifier).first() if identifier else None
    # Unknown id and wrong secret give one error: only the whole token tells whether it is expired or revoked.
    if row is None or not secrets.fits(token, row.secret_sha256):
        raise AuthenticationFailed("this is not a valid token; make one with POST /api/tokens or create_token")
    return row


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security scheme of `TokenAuthentication` in the OpenAPI document."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": SCHEME, "bearerFormat": f"{secrets.PREFIX}..."}
