"""Send a webhook its events: in log order, each until it was taken, under an id that stays the same.

A webhook is a follower: `position` moves when a message was taken (any 2xx). One that is not taken holds up those
behind it and is tried again after a growing while; after `GIVE_UP` without success the webhook is disabled.
"""

import json
import random
import time
from datetime import datetime, timedelta

from django.utils import timezone

from latentmas import outbound
from latentmas.events.changes import Change, Viewer, read_changes
from latentmas.outbound import AddressRefused, RemoteFailed
from marketplace.agents.queries import agents_of
from marketplace.webhooks.models import HEALTHY, ROTATION, Webhook
from marketplace.webhooks.signing import Unreadable, opened, signature

PAGE = 100
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=6)
JITTER = 0.2  # part of a wait, so that webhooks that failed together do not return together
GIVE_UP = timedelta(days=5)
GONE = 410
SECONDS = 30.0  # for one job: a webhook that answers slowly must not keep a worker from the others


def deliver(webhook: Webhook) -> int:
    """Send the next page of events, and return how many messages were taken; a failure sets the next attempt.

    What the owner has changed meanwhile, such as the position, is not overwritten.
    """
    page = read_changes(after=webhook.position, types=webhook.types, viewer=viewer_of(webhook), limit=PAGE)
    taken, deadline = 0, time.monotonic() + SECONDS
    for change in page.changes:
        problem = _send(webhook, change)
        if problem is not None:
            _fail(webhook, problem, at=timezone.now())
            return taken
        taken += 1
        if not _move(webhook, change.position, delivered_at=timezone.now()) or time.monotonic() > deadline:
            return taken
    _move(webhook, page.read_to)
    return taken


def viewer_of(webhook: Webhook) -> Viewer:
    """Return the agents for which the webhook may be sent private events: those its login acts for today."""
    agents = agents_of(webhook.owner).filter(suspended=None)
    if webhook.agent_id is not None:
        agents = agents.filter(id=webhook.agent_id)
    return frozenset(agents.values_list("id", flat=True))


def message(webhook: Webhook, change: Change) -> tuple[str, bytes]:
    """Return the id and the body of a change's message."""
    body = {
        "type": change.type,
        "timestamp": change.time.isoformat(),
        "data": {"position": change.position, "subject": change.subject, **change.facts},
    }
    return f"msg_{webhook.id}_{change.position}", json.dumps(body, separators=(",", ":"), default=str).encode()


def _send(webhook: Webhook, change: Change) -> str | None:
    """Send one message; return None if it was taken, otherwise what went wrong."""
    message_id, body = message(webhook, change)
    now = timezone.now()
    try:
        signatures = _signatures(webhook, message_id, body, at=now)
    except Unreadable:
        _disable(webhook, "its secret cannot be read any more; give it a new one")
        return "its secret cannot be read"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures,
    }
    try:
        answer = outbound.send("POST", webhook.url, headers=headers, body=body)
    except (AddressRefused, RemoteFailed) as error:
        return error.message
    if 200 <= answer.status < 300:
        return None
    if answer.status == GONE:
        _disable(webhook, "it answered 410 (gone)")
    return f"it answered {answer.status}"


def _signatures(webhook: Webhook, message_id: str, body: bytes, *, at: datetime) -> str:
    stored = [webhook.secret]
    if webhook.former_secret and webhook.rotated_at is not None and at < webhook.rotated_at + ROTATION:
        stored.append(webhook.former_secret)
    timestamp = int(at.timestamp())
    return " ".join(signature(opened(each), message_id=message_id, timestamp=timestamp, body=body) for each in stored)


def _move(webhook: Webhook, position: int, **changes: object) -> bool:
    """Move the position on; not if the owner has moved it, or changed anything else, meanwhile."""
    seen = Webhook.objects.filter(id=webhook.id, position=webhook.position, version=webhook.version, enabled=True)
    moved = seen.update(position=position, **HEALTHY, **changes)
    webhook.position = position
    return bool(moved)


def _fail(webhook: Webhook, problem: str, *, at: datetime) -> None:
    since = webhook.failing_since or at
    wait = min(FIRST_WAIT * 2 ** min(webhook.failures, 16), LONGEST_WAIT)
    Webhook.objects.filter(id=webhook.id, version=webhook.version, enabled=True).update(
        failures=webhook.failures + 1,
        failing_since=since,
        next_attempt_at=at + wait * random.uniform(1 - JITTER, 1 + JITTER),  # noqa: S311 - no secret
        last_error=problem[:300],
    )
    if at - since >= GIVE_UP:
        _disable(webhook, f"it took nothing for {GIVE_UP.days} days; last: {problem}")


def _disable(webhook: Webhook, why: str) -> None:
    Webhook.objects.filter(id=webhook.id, version=webhook.version).update(enabled=False, disabled_because=why[:200])
