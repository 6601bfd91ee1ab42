"""REST for reports about listings."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import WriteReports
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.curation.commands import report_listing
from marketplace.curation.models import MAX_TEXT, Kind
from marketplace.listings.queries import get_listing
from marketplace.listings.visibility import viewer_of


class ListingReportInput(StrictSerializer):
    kind = serializers.ChoiceField(Kind.choices)
    text = serializers.CharField(max_length=MAX_TEXT, help_text="What is wrong; only curators read it.")


class ListingReportOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    listing_id = serializers.CharField()
    kind = serializers.ChoiceField(Kind.choices)
    created_at = serializers.DateTimeField()


@extend_schema(
    operation_id="w_matrices_report_listing",
    parameters=[PARAMETER],
    request=ListingReportInput,
    responses={201: ListingReportOutput} | problems(404, 409),
)
@api_view(["POST"])
@permission_classes([WriteReports])
@parser_classes([BoundedJSONParser])
@idempotent()
def reports(request: Request, listing_id: str) -> Response:
    """Report a listing to the curators, who decide what becomes of it."""
    wanted = read(object_in(request), ListingReportInput)
    listing = get_listing(listing_id, viewer_of(request))
    row = report_listing(listing, cast(User, request.user), kind=Kind(wanted["kind"]), text=wanted["text"])
    return Response(ListingReportOutput(row).data, status=201)
