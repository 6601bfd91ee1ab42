"""Import a W-Matrix of another registry: its card and its file become a listing of one's own."""

from typing import Any

from django.conf import settings

from latentmas import blobs
from latentmas.protocol.money import Money
from latentmas.protocol.quality import Quality
from latentmas.protocol.w_matrix import read_document
from marketplace.listings.events.lifecycle import Access, VersionImported
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.foreign.cards import CheckedCard, require_file
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import Listing, ListingMember, ListingVersion
from marketplace.listings.publishing.publication import Declared, Offer, open_listing, publish_upload, published_from
from marketplace.texts.checks import check_text
from marketplace.texts.free_text import FreeText

CONTACT_CHARACTERS = 500


def import_card(came: CheckedCard, file: StoredFile, *, signature: str | None = None, by: By, **changes: Any) -> str:
    """List a stored file as its card says, with `changes` of the offer; return the listing.

    The figures become declared. A card of a listing that the agent has imported from before makes another version of
    that one; the same card again changes nothing. Raises DigestMismatch, CardAltered, ModelNotSupported, InvalidInput
    or Conflict.
    """
    card, path = came.card, blobs.local_path(file.digest)
    require_file(card, digest=file.digest, document=read_document(path, max_bytes=settings.W_MATRIX_MAX_BYTES))
    names = {"source_model": card.source.model, "target_model": card.target.model}
    published = published_from(file, _declared(card.version, card.quality), **names)
    contact = card.rights.takedown_contact
    if contact is not None:
        check_text(contact, "card.rights.takedown_contact", CONTACT_CHARACTERS)
    imported = VersionImported(
        version=card.version,
        registry=came.registry,
        listing_there=card.listing_id,
        certificate=came.certificate,
        takedown_contact=None if contact is None else FreeText(contact),
    )
    known = _imported_before(came, by.agent)
    if known is None:
        return open_listing(offer_of(came, **changes), published, signature=signature, by=by, imported=imported)
    publish_upload(known, published, signature=signature, by=by, imported=imported)
    return known


def imported_already(came: CheckedCard, agent: str) -> bool:
    """Return whether the agent has a version with the card's file."""
    mine = ListingMember.objects.filter(agent=agent, owner=True).values("listing_id")
    return ListingVersion.objects.filter(file_digest=came.card.file.digest, listing_id__in=mine).exists()


def offer_of(came: CheckedCard, **changes: Any) -> Offer:
    """Return what a card says of a listing, with what is to be otherwise."""
    card = came.card
    said: dict[str, Any] = {
        "title": f"{card.source.model} to {card.target.model}",
        "description": "",
        "source_model": card.source.model,
        "target_model": card.target.model,
        "price": Money(card.price.amount, card.price.currency),
        "tags": (),
        "access": Access.PUBLIC,
        "seller_statement": card.rights.seller_statement,
    }
    return Offer(**said | changes)


def _declared(version: str, quality: Quality) -> Declared:
    return Declared(
        version, quality.epsilon, quality.test_samples, quality.cosine_similarity, quality.euclidean_distance
    )


def _imported_before(came: CheckedCard, agent: str | None) -> str | None:
    """Return the agent's listing that the same listing there was imported as, and that is still offered."""
    mine = ListingMember.objects.filter(agent=agent, owner=True).values("listing_id")
    standing = Listing.objects.filter(id__in=mine, delisted_at__isnull=True).values("id")
    rows = ListingVersion.objects.filter(
        listing_id__in=standing, imported__registry=came.registry, imported__listing_id=came.card.listing_id
    )
    return rows.values_list("listing_id", flat=True).first()
