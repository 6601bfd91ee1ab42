"""Make and revoke API tokens. The whole token exists only in the answer of `create_token`."""

from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from latentmas.rest.scopes import RESTRICTED, SCOPES
from marketplace.accounts import secrets
from marketplace.accounts.mandates import Mandate, check_terms, stored
from marketplace.accounts.models import MAX_NAME, ApiToken
from marketplace.agents.queries import agents_of

DEFAULT_DAYS = 90
MAX_DAYS = 730
MAX_TOKENS = 50  # valid ones of one account


def create_token(
    owner: User,
    *,
    name: str,
    scopes: Iterable[str],
    days: int | None = DEFAULT_DAYS,
    agent_id: str | None = None,
    mandate: Mandate | None = None,
) -> tuple[ApiToken, str]:
    """Return the row and the token, which cannot be shown again; `days` None: it does not expire.

    `agent_id` is the agent of the owner's that the token acts for, `mandate` what it may spend.

    Raises InvalidInput, or Conflict where the account has too many valid tokens.
    """
    granted = _checked(name, list(scopes), days)
    now = timezone.now()
    if not owner.is_active:
        raise InvalidInput(f"the account {owner.get_username()!r} is not active", field="owner")
    if beyond := sorted(set(granted) - set(scopes_of(owner))):
        raise InvalidInput(f"the account {owner.get_username()!r} may not use {beyond[0]!r}", field="scopes")
    if mandate is not None:
        check_terms(mandate)
    if agent_id is not None and not agents_of(owner).filter(id=agent_id).exists():
        raise InvalidInput(f"this account has no agent {agent_id[:60]!r}", field="agent_id")
    valid = ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), owner=owner, revoked_at=None)
    if valid.count() >= MAX_TOKENS:
        raise Conflict(f"this account has {MAX_TOKENS} valid tokens, the limit", resolution="Revoke one first.")
    identifier, token = secrets.new_token()
    row = ApiToken.objects.create(
        id=identifier,
        name=name.strip(),
        owner=owner,
        agent_id=agent_id,
        mandate_terms=None if mandate is None else stored(mandate),
        scope_names=granted,
        secret_sha256=secrets.digest_of(token),
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    return row, token


def scopes_of(owner: User) -> list[str]:
    """Return the scopes that a token of this account may have."""
    return [scope for scope in SCOPES if scope not in RESTRICTED or owner.has_perm(RESTRICTED[scope])]


def revoke_token(identifier: str, *, owner: User | None = None) -> None:
    """Revoke a token for good: of any account, or only of `owner`. Twice changes nothing. Raises NotFound."""
    tokens = ApiToken.objects.filter(id=identifier) if identifier.isascii() and identifier.isalnum() else None
    if tokens is not None and owner is not None:
        tokens = tokens.filter(owner=owner)
    if tokens is None or not tokens.exists():
        raise NotFound(f"you have no token {identifier!r}", resolution="GET /api/tokens names yours.")
    tokens.filter(revoked_at=None).update(revoked_at=timezone.now())


def _checked(name: str, scopes: list[str], days: int | None) -> list[str]:
    """Return the scopes, each once, in order."""
    if not 1 <= len(name.strip()) <= MAX_NAME or "\x00" in name:
        raise InvalidInput(f"name must have 1 to {MAX_NAME} characters", field="name")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise InvalidInput(f"{unknown[0]!r} is not a scope; known are {', '.join(SCOPES)}", field="scopes")
    if not scopes:
        raise InvalidInput(f"a token needs a scope; known are {', '.join(SCOPES)}", field="scopes")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"days is {days}; it must lie between 1 and {MAX_DAYS}", field="days")
    return sorted(set(scopes))
