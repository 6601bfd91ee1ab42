"""Scopes of API tokens, and the permissions that require them.

Every app can require a scope; only `marketplace.accounts` knows how tokens are stored.
"""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

KV_CACHE_COMPUTE: Final = "kv-cache:compute"
W_MATRICES_GENERATE: Final = "w-matrices:generate"
CALIBRATION_PACKS_WRITE: Final = "calibration-packs:write"
MEMORIES_READ: Final = "memories:read"
MEMORIES_WRITE: Final = "memories:write"
VECTORS_ALIGN: Final = "vectors:align"

SCOPES: Final[Mapping[str, str]] = {
    KV_CACHE_COMPUTE: "Compress, decompress, judge, measure and stream KV-caches on this server.",
    W_MATRICES_GENERATE: "Have W-Matrices fitted from calibration packs and listed.",
    CALIBRATION_PACKS_WRITE: "Contribute calibration packs.",
    VECTORS_ALIGN: "Map vectors of one model into the embedding space of another on this server.",
    MEMORIES_READ: "Read, download and align your stored memories.",
    MEMORIES_WRITE: "Store and delete memories of your own.",
}


class ScopePermission(BasePermission):
    """Lets in a token that has `scope`, and a logged-in account, which may do whatever a token of its own may."""

    scope = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request may proceed; without token and session it is refused with 401, not 403."""
        if not request.user.is_authenticated:
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


class AlignVectors(ScopePermission):
    scope = VECTORS_ALIGN


class SessionOnly(BasePermission):
    """Keeps tokens from making and revoking tokens: a leaked one must not outlive its revocation."""

    message = "a token cannot do this; log in at /admin/login/ instead"

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_authenticated) and request.auth is None


def requester(request: Request) -> str:
    """Return who sent a request as an opaque name: `token:<id>`, or `user:<key>` of a session."""
    return f"user:{request.user.pk}" if request.auth is None else f"token:{request.auth.pk}"
