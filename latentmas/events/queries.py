"""Reads of the log for display."""

import json
from dataclasses import dataclass
from datetime import datetime

from latentmas.events.models import Event


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Who did what, and when; rendered by `templates/events/timeline.html`."""

    position: int
    version: int
    type: str
    actor: str
    at: datetime
    payload: dict[str, object]

    @property
    def payload_text(self) -> str:
        return pretty(self.payload)


def timeline(stream: str, *, limit: int = 200) -> list[TimelineEntry]:
    """Return the stream's newest events, newest first; types that this code no longer knows are shown as well."""
    rows = Event.objects.filter(stream=stream).order_by("-version")[:limit]
    return [
        TimelineEntry(
            position=row.position,
            version=row.version,
            type=row.type,
            actor=row.metadata["actor"],
            at=row.recorded_at,
            payload=row.payload,
        )
        for row in rows
    ]


def pretty(value: object) -> str:
    """Return plain data as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
