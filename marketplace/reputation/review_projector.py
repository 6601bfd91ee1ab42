"""Project the events of reviews; the only writer of their table."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from marketplace.reputation import review_events as made
from marketplace.reputation.models import Review
from marketplace.reputation.review_aggregate import REVIEW
from marketplace.reputation.texts import REVIEW_TEXTS
from marketplace.texts.erasable import Shown, erase, show

PREFIX = REVIEW.stream("")
HANDLED = (
    made.ReviewWritten,
    made.ReviewChanged,
    made.ReviewAnswered,
    made.ReviewRemoved,
    made.ReviewTextsErased,
)


@projector(writes=[Review], handles=HANDLED)
def project_reviews(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' reviews, apply the events in order, write the rows."""
    rows = locked(Review, {event.stream.removeprefix(PREFIX) for event in events})
    texts = REVIEW_TEXTS.read_of([event.data for event in events])
    for event in events:
        _apply(event, rows, texts)
    upsert(Review, rows.values())


def _apply(event: Envelope, rows: dict[str, Review], texts: Shown) -> None:
    identifier = event.stream.removeprefix(PREFIX)
    if isinstance(event.data, made.ReviewWritten):
        rows[identifier] = _written(identifier, event)
    row, at = rows[identifier], event.recorded_at
    row.stream_version = event.version
    match event.data:
        case made.ReviewWritten(text=text):
            show(row, texts, text=text)
        case made.ReviewChanged(rating=rating, text=text):
            row.rating, row.changed_at = rating, at
            show(row, texts, text=text)
        case made.ReviewAnswered(text=text):
            row.answered_at = at
            show(row, texts, answer=text)
        case made.ReviewRemoved(reason=reason):
            row.removed_at = at
            show(row, texts, removed_reason=reason)
        case made.ReviewTextsErased(commitments=commitments):
            erase([row], commitments)


def _written(identifier: str, event: Envelope) -> Review:
    written: made.ReviewWritten = event.data
    return Review(
        id=identifier,
        reviewer=written.reviewer,
        seller=written.seller,
        kind=written.kind.value,
        item=written.item,
        version=written.version,
        rating=written.rating,
        written_at=event.recorded_at,
    )
