"""REST for handing a listing over: its owner offers it, the receiver accepts or declines."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import PublishWMatrices
from marketplace.agents.queries import acting_agent, get_agent
from marketplace.listings.lifecycle import commands
from marketplace.listings.models import Listing, ListingMember
from marketplace.listings.rest.lifecycle_api import answer, as_agent, changing


class TransferInput(StrictSerializer):
    agent = serializers.CharField(max_length=36, help_text="The agent that may take the listing over.")


class OfferedTransferOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    title = serializers.CharField()
    seller = serializers.CharField(help_text="The agent that offers it.")
    offered_at = serializers.DateTimeField()
    stream_version = serializers.IntegerField(help_text="The listing's version for If-Match.")
    url = serializers.CharField()


class OfferedTransfersOutput(serializers.Serializer[Any]):
    results = OfferedTransferOutput(many=True)


@changing(POST=("w_matrices_transfer", TransferInput), DELETE=("w_matrices_withdraw_transfer", None))
def transfer(request: Request, listing_id: str) -> Response:
    """Offer a listing of yours to another agent, which may accept or decline; or take the offer back."""
    if request.method == "DELETE":
        commands.withdraw_transfer(listing_id, by=as_agent(request))
    else:
        to = get_agent(read(object_in(request), TransferInput)["agent"]).id
        commands.offer_transfer(listing_id, to=to, by=as_agent(request))
    return answer(listing_id)


@changing(POST=("w_matrices_accept_transfer", None))
def accept(request: Request, listing_id: str) -> Response:
    """Take over a listing that is offered to your agent; the former owner keeps no right in it."""
    commands.accept_transfer(listing_id, by=as_agent(request))
    return answer(listing_id)


@changing(POST=("w_matrices_decline_transfer", None), answer=None)
def decline(request: Request, listing_id: str) -> Response:
    """Decline a listing that is offered to your agent."""
    commands.decline_transfer(listing_id, by=as_agent(request))
    return Response(status=204)


@extend_schema(operation_id="transfers_offered", responses={200: OfferedTransfersOutput} | problems(409))
@api_view(["GET"])
@permission_classes([PublishWMatrices])
def offered(request: Request) -> Response:
    """Return the listings that are offered to your agent, the oldest offer first."""
    offers = ListingMember.objects.filter(agent=acting_agent(request).id, offered_at__isnull=False)
    moments = dict(offers.values_list("listing_id", "offered_at"))
    rows = sorted(Listing.objects.filter(id__in=moments), key=lambda row: (moments[row.id], row.id))
    return Response({"results": [_shown(row) | {"offered_at": moments[row.id]} for row in rows]})


def _shown(row: Listing) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in ("title", "seller", "stream_version")}
    return {"listing_id": row.id, "url": f"/api/w-matrices/{row.id}"} | same
