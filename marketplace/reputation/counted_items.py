"""How the events of listings and artefacts change their rows, and by that their agents' counters.

An item counts for who listed it, and a version for who owned the item when it was published: a listing that is handed
over takes no reputation with it. What is in quarantine counts for nothing until its release.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from latentmas.protocol.quality import MEASURED, Interval, Quality
from marketplace.artefacts import events as artefacts
from marketplace.listings.events import certification as certification_events
from marketplace.listings.events import lifecycle as lifecycle_events
from marketplace.listings.events import listing as listings
from marketplace.reputation.credit import MILLION
from marketplace.reputation.models import CountedItem, CountedVersion

Changes = Counter[tuple[str, str]]  # by agent and column
ITEM_EVENTS = (
    listings.ListingCreated,
    listings.VersionPublished,
    certification_events.VersionMeasured,
    certification_events.CertificateRevoked,
    lifecycle_events.ListingTransferred,
    lifecycle_events.ListingQuarantined,
    lifecycle_events.ListingReleased,
    artefacts.ArtefactListed,
    artefacts.VersionPublished,
    artefacts.VersionScreened,
    artefacts.ArtefactQuarantined,
    artefacts.ArtefactReleased,
)


def count_items(events: Sequence[Envelope]) -> Changes:
    """Lock and read the rows of the events' items, apply the events in order, write the rows; return what changed."""
    streams = sorted({event.stream for event in events})
    items = locked(CountedItem, streams)
    versions: dict[str, dict[str, CountedVersion]] = {stream: {} for stream in streams}
    for row in CountedVersion.objects.filter(item__in=streams):
        versions[row.item][row.id] = row
    changes = Changes()
    for event in events:
        own = versions[event.stream]
        before = _counted(items.get(event.stream), own.values())
        _apply(event, items, own)
        add_difference(changes, before, _counted(items[event.stream], own.values()))
    upsert(CountedItem, items.values())
    upsert(CountedVersion, [row for own in versions.values() for row in own.values()])
    return changes


def add_difference(
    changes: Changes, before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int]
) -> None:
    """Add what one event changes, event by event: the same keys then whatever events are projected together."""
    for key in before.keys() | after.keys():
        if difference := after.get(key, 0) - before.get(key, 0):
            changes[key] += difference


def _counted(item: CountedItem | None, versions: Iterable[CountedVersion]) -> Changes:
    """Return what an item and its versions add to the counters."""
    counted = Changes()
    if item is None or item.quarantined:
        return counted
    examined = [each for each in versions if each.examined]
    if examined:
        counted[item.creator, "created"] = 1
    for each in examined:
        if each.quality is not None:
            counted[each.agent, "measured"] += 1
            counted[each.agent, "quality"] += each.quality
    return counted


def _apply(event: Envelope, items: dict[str, CountedItem], versions: dict[str, CountedVersion]) -> None:
    stream = event.stream
    match event.data:
        case listings.ListingCreated(seller=seller) | artefacts.ArtefactListed(seller=seller):
            items[stream] = CountedItem(id=stream, creator=seller, owner=seller)
        case lifecycle_events.ListingTransferred(seller=seller):
            items[stream].owner = seller
        case lifecycle_events.ListingQuarantined() | artefacts.ArtefactQuarantined():
            items[stream].quarantined = True
        case lifecycle_events.ListingReleased() | artefacts.ArtefactReleased():
            items[stream].quarantined = False
        case listings.VersionPublished() | artefacts.VersionPublished():
            row = CountedVersion(id=f"{stream}/{event.data.version}", item=stream, agent=items[stream].owner)
            versions[row.id] = row
            if isinstance(event.data, listings.VersionPublished) and event.data.measured_first:
                _measure(row, event.data.quality)
        case _:
            _examine(versions[f"{stream}/{event.data.version}"], event.data)


def _examine(row: CountedVersion, event: object) -> None:
    match event:
        case certification_events.VersionMeasured(quality=quality):
            _measure(row, quality)
        case certification_events.CertificateRevoked():  # and with it the measurement that it rested on
            row.examined, row.quality = False, None
        case artefacts.VersionScreened() as screened:
            row.examined = not (screened.findings or screened.duplicate_of)
            row.quality = None if screened.retention is None else _lower_end(screened.retention)


def _measure(row: CountedVersion, quality: Quality) -> None:
    row.examined = quality.basis in MEASURED
    row.quality = _lower_end(quality.kept) if row.examined else None


def _lower_end(interval: Interval) -> int:
    """Return the lower end in millionths, clamped to [0, 1]: whole numbers add up alike in any order."""
    return round(min(1.0, max(0.0, interval.low)) * MILLION)
