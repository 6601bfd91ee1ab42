"""The public change feed: what has happened after a position of the log, at once or as soon as there is something."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.changes import Change, Page, change_types, read_changes
from latentmas.events.store import head_position
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.endpoints import reading
from latentmas.rest.parameters import StrictSerializer, read_query

MAX_LIMIT = 500
DEFAULT_LIMIT = 100
MAX_WAIT = 25  # seconds; proxies give up after 30
POLL_SECONDS = 0.25
MAX_POSITION = 2**53  # what JSON readers keep exactly

# Requests that wait hold a thread each; the others of this process must go on.
_waiting = threading.BoundedSemaphore(settings.CHANGES_WAITING)


class ChangesInput(StrictSerializer):
    after = serializers.IntegerField(
        min_value=0,
        max_value=MAX_POSITION,
        default=0,
        help_text="`next_after` of the answer before.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    types = serializers.CharField(required=False, max_length=2000, help_text="Types of events, comma-separated.")
    wait = serializers.IntegerField(
        min_value=0, max_value=MAX_WAIT, default=0, help_text="Seconds to wait where there is nothing yet."
    )


class ChangeOutput(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    type = serializers.CharField()
    subject = serializers.CharField(help_text="The stream, such as `listing/<id>`.")
    time = serializers.DateTimeField()
    facts = serializers.DictField(help_text="What there is to know beyond that; usually nothing.")


class ChangesOutput(serializers.Serializer[Any]):
    changes = ChangeOutput(many=True)
    next_after = serializers.IntegerField(help_text="Send it as `after` to go on.")


@reading("changes_list", answer=ChangesOutput, query=ChangesInput, conditional=True)
def changes(request: Request) -> Response:
    """Return what has happened after a position, oldest first. With `wait` the answer comes when there is something."""
    wanted = read_query(request, ChangesInput)
    after, limit, types = wanted["after"], wanted["limit"], _types(wanted.get("types"))
    page = read_changes(after=after, types=types, limit=limit)
    if wanted["wait"] and not page.changes:
        page = _awaited(page, types=types, limit=limit, seconds=wanted["wait"])
    return Response({"changes": [_shown(change) for change in page.changes], "next_after": page.read_to})


def _awaited(page: Page, *, types: list[str], limit: int, seconds: int) -> Page:
    """Return the first page that has something, or an empty one when the time is over or too many wait already."""
    deadline = time.monotonic() + seconds
    with _place() as mine:
        while mine and not page.changes and time.monotonic() < deadline:
            if head_position() > page.read_to:
                page = read_changes(after=page.read_to, types=types, limit=limit)
            else:
                time.sleep(POLL_SECONDS)
    return page


@contextmanager
def _place() -> Iterator[bool]:
    mine = _waiting.acquire(blocking=False)
    try:
        yield mine
    finally:
        if mine:
            _waiting.release()


def _types(given: str | None) -> list[str]:
    known = change_types()
    if given is None:
        return list(known)
    types = [name.strip() for name in given.split(",")]
    if unknown := sorted(set(types) - set(known)):
        raise InvalidInput(f"{unknown[0][:100]!r} is no type in the feed", field="types", known=sorted(known))
    return types


def _shown(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("position", "type", "subject", "time", "facts")}
