"""Cards of versions for machines, made of the catalogue's rows and the registry's facts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from django.conf import settings

from kvcache.server.queries import adapter_of
from latentmas.protocol.card import (
    ROW_ORDER,
    Card,
    FileFacts,
    Imported,
    Measurement,
    ModelSide,
    ModelTerms,
    Price,
    Rights,
    SignedCertificate,
)
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Quality, Tokenizer
from latentmas.protocol.w_matrix import Method, Space
from latentmas.registry.licences import derived_works
from latentmas.registry.models import RegisteredModel
from marketplace.listings.certificates.signing import signed_certificates
from marketplace.listings.certificates.standing import certificate_of, quality_of, status_of, validators_of
from marketplace.listings.imported_outputs import imported_document
from marketplace.listings.models import Listing, ListingVersion

FEED_TYPE = "application/vnd.latentmas.feed+json"  # of a signed page of cards
Models = Mapping[str, RegisteredModel]


def cards_of(rows: Sequence[ListingVersion], *, at: datetime) -> list[Card]:
    """Return the rows' cards at a moment, in their order; three more queries, however many rows."""
    listings = Listing.objects.in_bulk([row.listing_id for row in rows])
    names = {name for row in rows for name in (row.source_model, row.target_model)}
    models = RegisteredModel.objects.in_bulk(names)
    signed = signed_certificates([row for row in rows if row.tier_at(at)])
    return [_card(row, listings[row.listing_id], models, at, signed.get(row.id)) for row in rows]


def _card(
    row: ListingVersion, listing: Listing, models: Models, at: datetime, signed: SignedCertificate | None
) -> Card:
    quality, url = quality_of(row), f"/api/w-matrices/{row.listing_id}/versions/{row.version}"
    suite, measurement = quality.suite, _measurement(row)
    ours, theirs = (None, None) if measurement is None else measurement.instrument.tokenizers
    return Card(
        listing_id=row.listing_id,
        version=row.version,
        space=Space(row.space),
        method=Method(row.method),
        seller=listing.seller,
        price=Price(listing.price_amount, listing.price_currency),
        file=FileFacts(row.file_digest, row.file_size),
        report=None if row.report_digest is None else FileFacts(row.report_digest, row.report_size or 0),
        source=_side(row, "source", models, ours),
        target=_side(row, "target", models, theirs),
        unified_dimension=row.unified_dimension,
        standard=row.standard,
        row_order=ROW_ORDER if row.space == Space.KV_CACHE else None,
        registers=() if suite is None else tuple(dict.fromkeys(cell.register for cell in suite.cells)),
        context_lengths=() if suite is None else suite.lengths,
        cost_per_token=quality.computational_cost,
        quality=quality,
        declared=None if row.declared is None else msgspec.convert(row.declared, Quality),
        declared_gap=row.declared_gap,
        measurement=measurement,
        status=status_of(row, at=at),
        certification=certificate_of(row) if row.tier_at(at) else None,
        signed=signed,
        validated_by=tuple(validators_of(row)),
        rights=_rights(listing),
        published_at=row.published_at,
        url=url,
        file_url=f"{url}/file",
        imported=msgspec.convert(imported_document(row), Imported | None),
    )


def _measurement(row: ListingVersion) -> Measurement | None:
    if row.measurement is None:
        return None
    return msgspec.convert(row.measurement | {"measured_at": row.measured_at}, Measurement)


def _side(row: ListingVersion, side: str, models: Models, tokenizer: Tokenizer | None) -> ModelSide:
    name: str = getattr(row, f"{side}_model")
    model = models.get(name)
    return ModelSide(
        model=name,
        hub_id=None if model is None else model.hub_id,
        weights=getattr(row, f"{side}_weights"),
        tokenizer=tokenizer,
        dimension=getattr(row, f"{side}_dimension"),
        geometry=_geometry(model) if row.space == Space.KV_CACHE else None,
    )


def _geometry(model: RegisteredModel | None) -> KVGeometry | None:
    return adapter_of(model).geometry if model is not None and model.has_kv_cache else None


def _rights(listing: Listing) -> Rights:
    terms = tuple(ModelTerms(**each, derived_maps=derived_works(each["licence"])) for each in listing.licences)
    return Rights(terms, listing.seller_statement, takedown_contact=settings.TAKEDOWN_CONTACT or None)
