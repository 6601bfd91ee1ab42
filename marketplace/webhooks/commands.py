"""Make, change, rotate, replay and delete webhooks."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from latentmas.events.changes import change_types
from latentmas.events.errors import VersionConflict
from latentmas.events.store import head_position
from latentmas.outbound import checked_url
from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from marketplace.webhooks.models import HEALTHY, Webhook
from marketplace.webhooks.signing import new_secret, sealed

MAX_WEBHOOKS = 10  # of one login


def create_webhook(owner: User, *, url: str, types: Sequence[str], agent_id: str | None = None) -> tuple[Webhook, str]:
    """Return a webhook that is sent what happens from now on, and its secret, which is shown only now.

    Raises AddressRefused, InvalidInput, or Conflict where the login has too many.
    """
    secret = new_secret()
    row = Webhook(
        id=uuid4().hex,
        owner=owner,
        agent_id=agent_id,
        url=str(checked_url(url)),
        types=_known(types),
        secret=sealed(secret),
        position=head_position(),
        created_at=timezone.now(),
    )
    with transaction.atomic():
        if webhooks_of(owner).count() >= MAX_WEBHOOKS:
            raise Conflict(f"this login has {MAX_WEBHOOKS} webhooks, the limit", resolution="Delete one first.")
        row.save(force_insert=True)
    return row, secret


def change_webhook(
    owner: User, webhook_id: str, *, url: str, types: Sequence[str], enabled: bool, expected: int
) -> Webhook:
    """Replace what its owner has set; enabling it ends its failures. Raises NotFound, VersionConflict, InvalidInput."""
    settings: dict[str, Any] = {"url": str(checked_url(url)), "types": _known(types), "enabled": enabled}
    return _change(owner, webhook_id, expected=expected, **settings, **HEALTHY)


def rotate_secret(owner: User, webhook_id: str, *, expected: int) -> tuple[Webhook, str]:
    """Return the webhook and its new secret; for a day messages carry the former one's signature too.

    Raises NotFound or VersionConflict.
    """
    secret = new_secret()
    former = get_webhook(owner, webhook_id).secret
    row = _change(
        owner,
        webhook_id,
        expected=expected,
        secret=sealed(secret),
        former_secret=former,
        rotated_at=timezone.now(),
    )
    return row, secret


def replay(owner: User, webhook_id: str, *, after: int, expected: int) -> Webhook:
    """Send the events after a position again, under the message ids they had. Raises NotFound, VersionConflict."""
    if not 0 <= after <= (head := head_position()):
        raise InvalidInput(f"after is {after}; the log has the positions 1 to {head}", field="after")
    return _change(owner, webhook_id, expected=expected, position=after, enabled=True, **HEALTHY)


def delete_webhook(owner: User, webhook_id: str) -> None:
    """Delete a webhook; what is being sent may still arrive. Raises NotFound."""
    get_webhook(owner, webhook_id).delete()


def get_webhook(owner: User, webhook_id: str) -> Webhook:
    """Return a webhook of this login's. Raises NotFound."""
    row = webhooks_of(owner).filter(id=webhook_id).first() if webhook_id.isalnum() else None
    if row is None:
        raise NotFound(f"you have no webhook {webhook_id!r}", resolution="GET /api/webhooks names yours.")
    return row


def webhooks_of(owner: User) -> QuerySet[Webhook]:
    return Webhook.objects.filter(owner=owner)


def _change(owner: User, webhook_id: str, *, expected: int, **changes: Any) -> Webhook:
    row = get_webhook(owner, webhook_id)
    mine = webhooks_of(owner).filter(id=webhook_id, version=expected)
    if not mine.update(version=expected + 1, **changes):
        row.refresh_from_db()
        raise VersionConflict(
            f"the webhook is at version {row.version}, not {expected}", expected=expected, current=row.version
        )
    row.refresh_from_db()
    return row


def _known(types: Sequence[str]) -> list[str]:
    """Return the names, each once, in order. Raises InvalidInput."""
    known = change_types()
    if unknown := sorted(set(types) - set(known)):
        raise InvalidInput(f"{unknown[0][:100]!r} is no type of event that is sent", field="types", known=sorted(known))
    if not types:
        raise InvalidInput("a webhook needs a type of event", field="types", known=sorted(known))
    return sorted(set(types))
