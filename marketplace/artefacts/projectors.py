"""Project the artefacts' events onto their rows; the only writer of their tables."""

from collections.abc import Iterable, Sequence

import msgspec

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from latentmas.protocol.versions import parse_version
from marketplace.artefacts import events as made
from marketplace.artefacts.aggregate import ARTEFACT
from marketplace.artefacts.models import Artefact, ArtefactParent, ArtefactSegment, ArtefactVersion, Screening
from marketplace.artefacts.texts import TEXTS
from marketplace.texts.erasable import Shown, erase, show

PREFIX = ARTEFACT.stream("")
HANDLED = (
    made.ArtefactListed,
    made.ParentsDeclared,
    made.VersionPublished,
    made.SegmentAppended,
    made.RightsStated,
    made.VersionScreened,
    made.PriceChanged,
    made.ArtefactWithdrawn,
    made.ArtefactQuarantined,
    made.ArtefactReleased,
    made.ArtefactTextsErased,
)


@projector(writes=[Artefact, ArtefactVersion], handles=HANDLED)
def project_artefacts(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' artefacts, apply the events in order, write the rows."""
    ids = sorted({artefact_id_of(event) for event in events})
    artefacts = locked(Artefact, ids)
    versions = {row.id: row for row in ArtefactVersion.objects.filter(artefact_id__in=ids).order_by("id")}
    texts = TEXTS.read_of([event.data for event in events])
    for event in events:
        _apply(event, artefacts, versions, texts)
    for artefact in artefacts.values():
        _show_newest(artefact, [each for each in versions.values() if each.artefact_id == artefact.id])
    upsert(Artefact, artefacts.values())
    upsert(ArtefactVersion, versions.values())


@projector(writes=[ArtefactParent], handles=[made.ParentsDeclared])
def project_parents(events: Sequence[Envelope]) -> None:
    """Replace the parents of each artefact by those that were declared last."""
    last = {artefact_id_of(event): event.data.parents for event in events}
    ArtefactParent.objects.filter(child_id__in=last).delete()
    ArtefactParent.objects.bulk_create(
        ArtefactParent(
            id=f"{child}/{parent.artefact_id}",
            child_id=child,
            parent_id=parent.artefact_id,
            basis_points=parent.basis_points,
        )
        for child, parents in sorted(last.items())
        for parent in parents
    )


@projector(writes=[ArtefactSegment], handles=[made.SegmentAppended])
def project_segments(events: Sequence[Envelope]) -> None:
    """Insert the segments, which never change."""
    ArtefactSegment.objects.bulk_create(
        ArtefactSegment(
            id=f"{artefact_id_of(event)}/{event.data.segment.segment_id}",
            artefact_id=artefact_id_of(event),
            place=event.data.segment.place,
            session=event.data.segment.session,
            version=event.data.version,
            file_digest=event.data.segment.file.digest,
            file_size=event.data.segment.file.size,
            tokens=event.data.segment.tokens,
        )
        for event in events
    )


def artefact_id_of(event: Envelope) -> str:
    return event.stream.removeprefix(PREFIX)


def _apply(event: Envelope, artefacts: dict[str, Artefact], versions: dict[str, ArtefactVersion], texts: Shown) -> None:
    identifier = artefact_id_of(event)
    match event.data:
        case made.ArtefactListed() as listed:
            artefacts[identifier] = _artefact(event, listed)
            show(artefacts[identifier], texts, title=listed.title, description=listed.description)
        case made.VersionPublished() as published:
            row = _version(event, identifier, published)
            versions[row.id] = row
        case made.RightsStated(version=version, statement=statement):
            show(versions[f"{identifier}/{version}"], texts, rights=statement)
        case made.VersionScreened() as screened:
            _screen(versions[f"{identifier}/{screened.version}"], event, screened)
        case made.ArtefactTextsErased(commitments=commitments):
            own = [each for each in versions.values() if each.artefact_id == identifier]
            erase([artefacts[identifier], *own], commitments)
        case _:
            _apply_to_offer(event, artefacts[identifier], texts)
    artefacts[identifier].updated_at = event.recorded_at
    artefacts[identifier].stream_version = event.version


def _apply_to_offer(event: Envelope, artefact: Artefact, texts: Shown) -> None:
    match event.data:
        case made.PriceChanged(terms=terms):
            _ask(artefact, terms)
        case made.ArtefactWithdrawn(reason=reason):
            artefact.withdrawn_at = event.recorded_at
            show(artefact, texts, withheld_reason=reason)
        case made.ArtefactQuarantined(reason=reason):
            artefact.quarantined_at = event.recorded_at
            show(artefact, texts, withheld_reason=reason)
        case made.ArtefactReleased():
            artefact.quarantined_at, artefact.withheld_reason = None, ""


def _artefact(event: Envelope, listed: made.ArtefactListed) -> Artefact:
    row = Artefact(
        id=listed.artefact_id,
        kind=listed.kind.value,
        model=listed.model,
        seller=listed.seller,
        created_at=event.recorded_at,
    )
    _ask(row, listed.terms)
    return row


def _ask(row: Artefact, terms: made.Terms) -> None:
    row.price_amount, row.price_currency = terms.price.amount, terms.price.currency
    row.floor, row.discount = terms.floor, terms.discount


def _version(event: Envelope, artefact_id: str, published: made.VersionPublished) -> ArtefactVersion:
    number, canary = parse_version(published.version), published.canary
    return ArtefactVersion(
        id=f"{artefact_id}/{published.version}",
        artefact_id=artefact_id,
        version=published.version,
        major=number.major,
        minor=number.minor,
        patch=number.patch,
        file_digest=published.file.digest,
        file_size=published.file.size,
        contents=msgspec.to_builtins(published.contents),
        canary_digest=None if canary is None else canary.digest,
        canary_size=None if canary is None else canary.size,
        published_at=event.recorded_at,
    )


def _screen(row: ArtefactVersion, event: Envelope, screened: made.VersionScreened) -> None:
    refused = bool(screened.findings or screened.duplicate_of)
    row.screening = Screening.REFUSED if refused else Screening.PASSED
    row.findings, row.duplicate_of = list(screened.findings), screened.duplicate_of
    row.uniqueness = screened.uniqueness
    row.retention = None if screened.retention is None else msgspec.to_builtins(screened.retention)
    row.screened_at = event.recorded_at


def _show_newest(artefact: Artefact, versions: Iterable[ArtefactVersion]) -> None:
    """Copy the newest version on offer to the artefact, or clear its columns."""
    withheld = artefact.quarantined_at is not None or artefact.withdrawn_at is not None
    offered = [] if withheld else [each for each in versions if each.offered]
    newest = max(offered, key=lambda each: each.number, default=None)
    for name in ("version", "uniqueness", "retention", "file_digest"):
        setattr(artefact, name, getattr(newest, name, None))
    contents = newest.contents if newest else {}
    artefact.tokens, artefact.parts, artefact.method = map(contents.get, ("tokens", "parts", "method"))
