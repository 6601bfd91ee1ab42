"""A listing's events as sentences, for its page and the admin."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from latentmas.events.store import read_stream
from latentmas.events.types import Recorded
from marketplace.listings.aggregate import LISTING
from marketplace.listings.events.certification import (
    CertificateRevoked,
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.events.listing import ListingCreated, VersionPublished, VersionYanked
from marketplace.listings.lifecycle.sentences import lifecycle_sentence
from marketplace.listings.texts import read_of
from marketplace.texts.erasable import Shown


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as a sentence, with its position in the log, its actor and its time."""

    position: int
    type: str
    actor: str
    at: datetime
    what: str


def timeline(listing_id: str) -> list[Entry]:
    """Return every event of a listing, oldest first."""
    events = read_stream(LISTING.stream(listing_id))
    texts = read_of([event.data for event in events])
    return list(_entries(events, texts))


def _entries(events: list[Recorded], texts: Shown) -> Iterator[Entry]:
    for event in events:
        yield Entry(event.position, event.type, event.metadata.actor, event.recorded_at, _sentence(event.data, texts))


def _sentence(data: object, texts: Shown) -> str:
    match data:
        case ListingCreated():
            return f"Listed from {data.source_model} to {data.target_model} by {data.seller}."
        case VersionPublished():
            basis = data.quality.basis.value
            return f"Version {data.version} published: {data.method}, {basis}, epsilon {data.quality.epsilon:.3f}."
        case VersionMeasured():
            return _measurement(data)
        case VersionCertified():
            within = "" if data.scope is None else f" for contexts of up to {data.scope.longest} tokens"
            return (
                f"Version {data.version} certified {data.tier.value}{within}, valid until {data.expires_at:%Y-%m-%d}."
            )
        case VersionRefused():
            return f"Version {data.version} refused a certificate: {'; '.join(data.reasons)}."
        case CertificateRevoked():
            return f"The certificate of version {data.version} was revoked: {texts[data.reason]}"
        case VersionRecertified():
            verdict = "agrees" if data.agrees else "does not agree"
            return f"Version {data.version} recertified by {data.validator}, who {verdict} with the certifier."
        case VersionYanked():
            return f"Version {data.version} withdrawn: {texts[data.reason]}"
    return lifecycle_sentence(data, texts) or type(data).__name__


def _measurement(data: VersionMeasured) -> str:
    kept, private = data.quality.kept, ""
    if data.private is not None:
        private = f"; private cells {'passed' if data.private.passed else 'failed'}"
    return (
        f"Version {data.version} measured, {data.quality.basis.value}: {kept.value:.3f} "
        f"[{kept.low:.3f}, {kept.high:.3f}]{private}."
    )
