"""The permissions that require a scope of a token, or a session."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from latentmas.rest.scopes import (
    AGENTS_WRITE,
    CALIBRATION_PACKS_WRITE,
    KV_CACHE_COMPUTE,
    MARKETPLACE_ADMIN,
    MEMORIES_PUBLISH,
    MEMORIES_READ,
    MEMORIES_WRITE,
    PAYOUTS_WRITE,
    PURCHASES_WRITE,
    REPORTS_WRITE,
    RESTRICTED,
    REVIEWS_WRITE,
    TOP_UPS_WRITE,
    VECTORS_ALIGN,
    W_MATRICES_CERTIFY,
    W_MATRICES_GENERATE,
    W_MATRICES_PUBLISH,
    WALLET_READ,
    WEBHOOKS_WRITE,
)


class ScopePermission(BasePermission):
    """Lets in a token that has `scope`, and a logged-in account, which may do whatever a token of its own may."""

    scope = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request may proceed; without token and session it is refused with 401, not 403."""
        if not request.user.is_authenticated:
            return False
        needed = RESTRICTED.get(self.scope)
        if needed is not None and not request.user.has_perm(needed):
            self.message = f"this account may not use the scope {self.scope!r}"
            return False
        if request.auth is None:
            return True
        granted: tuple[str, ...] = tuple(getattr(request.auth, "scopes", ()))
        self.message = f"this token lacks the scope {self.scope!r}; it has {', '.join(granted) or 'none'}"
        return self.scope in granted


class ComputeKVCaches(ScopePermission):
    scope = KV_CACHE_COMPUTE


class GenerateWMatrices(ScopePermission):
    scope = W_MATRICES_GENERATE


class WriteCalibrationPacks(ScopePermission):
    scope = CALIBRATION_PACKS_WRITE


class ReadMemories(ScopePermission):
    scope = MEMORIES_READ


class WriteMemories(ScopePermission):
    scope = MEMORIES_WRITE


class PublishMemories(ScopePermission):
    scope = MEMORIES_PUBLISH


class AlignVectors(ScopePermission):
    scope = VECTORS_ALIGN


class WriteAgents(ScopePermission):
    scope = AGENTS_WRITE


class PublishWMatrices(ScopePermission):
    scope = W_MATRICES_PUBLISH


class CertifyWMatrices(ScopePermission):
    scope = W_MATRICES_CERTIFY


class WritePurchases(ScopePermission):
    scope = PURCHASES_WRITE


class ReadWallets(ScopePermission):
    scope = WALLET_READ


class WriteTopUps(ScopePermission):
    scope = TOP_UPS_WRITE


class WritePayouts(ScopePermission):
    """Keeps tokens with a mandate out: whoever may spend within limits may not empty the wallet past them."""

    scope = PAYOUTS_WRITE

    def has_permission(self, request: Request, view: Any) -> bool:
        if getattr(request.auth, "mandate", None) is not None:
            self.message = "a token with a mandate cannot ask for payouts; use another token, or log in"
            return False
        return super().has_permission(request, view)


class WriteReports(ScopePermission):
    scope = REPORTS_WRITE


class WriteReviews(ScopePermission):
    scope = REVIEWS_WRITE


class WriteWebhooks(ScopePermission):
    scope = WEBHOOKS_WRITE


class AdministerMarketplace(ScopePermission):
    scope = MARKETPLACE_ADMIN


class ReadOrWrite(BasePermission):
    """Asks for one scope to look, and for another to change something."""

    reading: type[ScopePermission]
    writing: type[ScopePermission]

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = (self.reading if request.method in SAFE_METHODS else self.writing)()
        allowed = needed.has_permission(request, view)
        self.message = getattr(needed, "message", None)
        return allowed


class SessionOnly(BasePermission):
    """Keeps tokens from making and revoking tokens: a leaked one must not outlive its revocation."""

    message = "a token cannot do this; log in at /log-in instead"

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_authenticated) and request.auth is None


def requester(request: Request) -> str:
    """Return who sent a request as an opaque name: `token:<id>`, or `user:<key>` of a session."""
    return f"user:{request.user.pk}" if request.auth is None else f"token:{request.auth.pk}"
