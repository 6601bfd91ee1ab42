"""REST for what may happen to a listing after its publication. Every change says by `If-Match` which version it saw."""

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.types import Metadata
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.money import Split
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import AdministerMarketplace, PublishWMatrices, requester
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.listings import queries
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle import commands
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import Listing
from marketplace.listings.rest import outputs
from marketplace.listings.rest.selling_inputs import PriceField
from marketplace.texts.checks import REASON_CHARACTERS

PER_CENT: dict[str, Any] = {"min_value": 0, "max_value": 100, "help_text": "Per cent."}


class ReasonInput(StrictSerializer):
    reason = serializers.CharField(max_length=REASON_CHARACTERS)


class DeprecateInput(ReasonInput):
    successor = serializers.CharField(
        max_length=70, required=False, help_text="Another version, or <listing>/<version>."
    )


class AliasInput(StrictSerializer):
    version = serializers.CharField(max_length=32)


class PriceInput(StrictSerializer):
    price = PriceField(help_text="Minor units.")


class SplitInput(StrictSerializer):
    creator = serializers.IntegerField(**PER_CENT)
    platform = serializers.IntegerField(**PER_CENT)
    validators = serializers.IntegerField(**PER_CENT)  # type: ignore[assignment]  # declared, never an attribute


class AccessInput(StrictSerializer):
    access = serializers.ChoiceField([each.value for each in Access])


def changing(
    *,
    by: type[BasePermission] = PublishWMatrices,
    answer: type[serializers.Serializer[Any]] | None = outputs.ListingOutput,
    **operations: tuple[str, type[StrictSerializer] | None],
) -> Callable[[Any], Any]:
    """Decorate a view as changes of a listing that exists, or of something like it, by method; it answers with it.

    `answer` None: with 204 and nothing.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Any:
        limited = permission_classes([by])(parser_classes([BoundedJSONParser])(idempotent()(view)))
        described = api_view(list(operations))(limited)
        for method, (operation, shape) in operations.items():
            described = extend_schema(
                methods=[method],
                operation_id=operation,
                parameters=[IF_MATCH, *([PARAMETER] if method == "POST" else [])],
                request=shape,
                responses={204 if answer is None else 200: answer} | problems(410),
            )(described)
        return described

    return decorate


class PublishOrAdminister(BasePermission):
    """Lets in sellers and curators."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if AdministerMarketplace().has_permission(request, view):
            return True
        seller = PublishWMatrices()
        allowed = seller.has_permission(request, view)
        self.message = getattr(seller, "message", None)
        return allowed


@changing(POST=("w_matrices_yank", ReasonInput), by=PublishOrAdminister)
def yank(request: Request, listing_id: str, version: str) -> Response:
    """Withdraw a version for a reason, as its seller or a curator; who has got its file keeps it."""
    curator = AdministerMarketplace().has_permission(request, None)
    by = as_curator(request) if curator else as_agent(request)
    commands.yank_version(listing_id, version=version, by=by, **read(object_in(request), ReasonInput))
    return answer(listing_id)


@changing(POST=("w_matrices_deprecate", DeprecateInput))
def deprecate(request: Request, listing_id: str, version: str) -> Response:
    """Advise another version than this one, which stays on offer."""
    wanted = read(object_in(request), DeprecateInput)
    commands.deprecate_version(listing_id, version=version, by=as_agent(request), **wanted)
    return answer(listing_id)


@changing(PUT=("w_matrices_alias", AliasInput))
def alias(request: Request, listing_id: str, name: str) -> Response:
    """Let a name such as `stable` lead to a version on offer."""
    commands.move_alias(listing_id, name=name, by=as_agent(request), **read(object_in(request), AliasInput))
    return answer(listing_id)


@changing(PUT=("w_matrices_price", PriceInput))
def price(request: Request, listing_id: str) -> Response:
    """Change the price of later sales."""
    commands.change_price(listing_id, by=as_agent(request), **read(object_in(request), PriceInput))
    return answer(listing_id)


@changing(PUT=("w_matrices_split", SplitInput))
def split(request: Request, listing_id: str) -> Response:
    """Change how later sales are divided."""
    shares = Split(**read(object_in(request), SplitInput))
    commands.change_split(listing_id, split=shares, by=as_agent(request))
    return answer(listing_id)


@changing(PUT=("w_matrices_access", AccessInput))
def access(request: Request, listing_id: str) -> Response:
    """Make a listing public, gated or private."""
    wanted = Access(read(object_in(request), AccessInput)["access"])
    commands.change_access(listing_id, access=wanted, by=as_agent(request))
    return answer(listing_id)


@changing(POST=("w_matrices_delist", ReasonInput))
def delist(request: Request, listing_id: str) -> Response:
    """End the offer for good; who has got a file keeps it."""
    commands.delist(listing_id, by=as_agent(request), **read(object_in(request), ReasonInput))
    return answer(listing_id)


@changing(POST=("w_matrices_quarantine", ReasonInput), by=AdministerMarketplace)
def quarantine(request: Request, listing_id: str) -> Response:
    """Stop everything of a listing, as a curator."""
    commands.quarantine_listing(listing_id, by=as_curator(request), **read(object_in(request), ReasonInput))
    return answer(listing_id)


@changing(POST=("w_matrices_release", ReasonInput), by=AdministerMarketplace)
def release(request: Request, listing_id: str) -> Response:
    """End a quarantine, as a curator."""
    commands.release_listing(listing_id, by=as_curator(request), **read(object_in(request), ReasonInput))
    return answer(listing_id)


def answer(listing_id: str, *, status: int = 200) -> Response:
    """Return a listing as who has just changed it may see it, with its version as the ETag."""
    row = Listing.objects.get(id=listing_id)
    document = outputs.detail(row, queries.all_versions(listing_id), at=timezone.now())
    return versioned(Response(document, status=status), row.stream_version)


def as_agent(request: Request) -> By:
    """Return the acting agent as who changes a listing. Raises what acting_agent and expected_version do."""
    return By(acting_agent(request).id, metadata_of(request), expected_version(request))


def as_curator(request: Request) -> By:
    return By(None, metadata_of(request), expected_version(request))


def metadata_of(request: Request) -> Metadata:
    return Metadata(actor=requester(request))
