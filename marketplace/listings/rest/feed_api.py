"""REST for machines that choose mappers: the card of a version, the feed of all certified ones, and their schema."""

from datetime import datetime
from urllib.parse import urlencode

import msgspec
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.types import Metadata
from latentmas.protocol.canonical import plain
from latentmas.protocol.card import Feed
from latentmas.protocol.dsse import DsseEnvelope, sign_envelope
from latentmas.protocol.w_matrix import Space
from latentmas.rest.cursors import page_of
from latentmas.rest.endpoints import reading
from latentmas.rest.parameters import StrictSerializer
from latentmas.transparency import keys
from latentmas.transparency.events import Purpose
from marketplace.listings import queries
from marketplace.listings.cards import FEED_TYPE, cards_of
from marketplace.listings.models import ListingVersion
from marketplace.listings.rest import inputs
from marketplace.listings.visibility import NOBODY, obtainable, viewer_of

FEED_LIMIT, FEED_DEFAULT = 500, 100
FEED_ORDER = ("id",)


class FeedInput(StrictSerializer):
    limit = serializers.IntegerField(required=False, default=FEED_DEFAULT, min_value=1, max_value=FEED_LIMIT)
    cursor = serializers.CharField(required=False, max_length=400, help_text="In the `next` of the page before.")
    envelope = serializers.BooleanField(
        required=False, default=False, help_text="Answer with a DSSE envelope around the page, signed by this server."
    )


@reading("w_matrices_manifest", answer=OpenApiTypes.OBJECT, statuses=[403, 410])
def manifest(request: Request, listing_id: str, version: str) -> Response:
    """Return the card of a version for machines, a `Card` of `/api/feed/schema`."""
    row = queries.offered_version(listing_id, version, viewer_of(request))
    (card,) = cards_of([row], at=timezone.now())
    return Response(msgspec.to_builtins(card))


@reading("feed", answer=OpenApiTypes.OBJECT, query=FeedInput, statuses=[409, 503], conditional=True)
def feed(request: Request) -> Response:
    """Return the cards of all certified mappers between KV-caches, page by page, a `Feed` of `/api/feed/schema`."""
    now = timezone.now()
    wanted = inputs.read_query(request, FeedInput)
    page = page_of(_certified(now), order=FEED_ORDER, limit=wanted["limit"], cursor=wanted.get("cursor"))
    following = None
    if page.next_cursor is not None:
        same = {name: wanted[name] for name in ("limit", "envelope")}
        following = f"{request.path}?{urlencode(same | {'cursor': page.next_cursor})}"
    document = Feed(tuple(cards_of(page.rows, at=now)), following)
    if wanted["envelope"]:
        return Response(plain(signed(document)))
    return Response(msgspec.to_builtins(document))


@reading("feed_schema", answer=OpenApiTypes.OBJECT, conditional=True)
def schema(request: Request) -> Response:
    """Return the JSON Schema (2020-12) of the feed and of the cards in it."""
    return Response({"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(Feed))


def signed(document: Feed) -> DsseEnvelope:
    """Return the page in an envelope; the same page gives the same bytes.

    Raises SigningKeyMissing where this process does not hold the key of certificates, or SigningKeyNotUsable.
    """
    signer = keys.signer(Purpose.CERTIFICATE, metadata=Metadata(actor="feed"))
    payload = msgspec.json.encode(document, order="deterministic")
    return sign_envelope(payload, payload_type=FEED_TYPE, key=signer.key, key_id=signer.key_id)


def _certified(at: datetime) -> QuerySet[ListingVersion]:
    offers = ListingVersion.objects.filter(space=Space.KV_CACHE, certified_until__gt=at)
    return obtainable(offers, NOBODY)
