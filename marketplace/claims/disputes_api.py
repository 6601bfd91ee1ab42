"""REST for disputes: open one about a purchase, answer one about a sale, withdraw one; curators decide in the admin."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.rest.answers import private
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import example, problems
from latentmas.rest.parameters import StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import WritePurchases
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.api import metadata_of
from marketplace.agents.queries import acting_agent
from marketplace.claims import queries
from marketplace.claims.commands import TEXT_CHARACTERS, answer_dispute, open_dispute, withdraw_dispute
from marketplace.claims.events import DisputeKind
from marketplace.claims.inputs import PartyPageInput
from marketplace.claims.models import KINDS
from marketplace.claims.outputs import DisputeOutput, DisputesOutput, dispute_document
from marketplace.sales.models import MAX_ID
from marketplace.sales.queries import sale_of_party

ORDER = ("opened_at", "id")


class TextInput(StrictSerializer):
    text = serializers.CharField(max_length=TEXT_CHARACTERS, help_text="Read by the other party and the curators.")


class ComplaintInput(TextInput):
    kind = serializers.ChoiceField(KINDS)


class DisputeInput(ComplaintInput):
    purchase = serializers.CharField(max_length=MAX_ID, help_text="The id of a purchase of your agent's.")


@extend_schema(
    methods=["GET"],
    operation_id="disputes_list",
    parameters=[PartyPageInput],
    responses={200: DisputesOutput, **problems(409)},
)
@extend_schema(
    methods=["POST"],
    operation_id="disputes_create",
    parameters=[PARAMETER],
    request=DisputeInput,
    examples=example(
        {
            "purchase": "7d0c2a4e-0000-4000-8000-000000000001",
            "kind": "not-as-described",
            "text": "The card says 2 048 tokens of context; it was fitted on 256.",
        }
    ),
    responses={201: DisputeOutput, **problems(404)},
)
@api_view(["GET", "POST"])
@permission_classes([WritePurchases])
@parser_classes([BoundedJSONParser])
@idempotent()
def disputes(request: Request) -> Response:
    """List the disputes about what your agent has bought or sold, oldest first, or open one about a purchase."""
    if request.method == "POST":
        wanted = read(object_in(request), DisputeInput)
        return _opened(request, wanted.pop("purchase"), wanted)
    agent = acting_agent(request).id
    asked = read_query(request, PartyPageInput)
    found = queries.disputes_of(agent, as_seller=asked["sold"])
    page = page_of(found, order=ORDER, limit=asked["limit"], cursor=asked.get("cursor"))
    written = queries.written_in(page.rows)
    return private(
        Response(page_document(request, page, lambda row: dispute_document(row, written, as_seller=asked["sold"])))
    )


@extend_schema(methods=["GET"], operation_id="purchases_dispute", responses={200: DisputeOutput, **problems(409)})
@extend_schema(
    methods=["POST"],
    operation_id="purchases_open_dispute",
    parameters=[PARAMETER],
    request=ComplaintInput,
    responses={201: DisputeOutput},
)
@api_view(["GET", "POST"])
@permission_classes([WritePurchases])
@parser_classes([BoundedJSONParser])
@idempotent()
def of_purchase(request: Request, sale_id: str) -> Response:
    """Return the dispute about a purchase, or open one within 14 days, which sets the seller's share aside."""
    if request.method == "POST":
        return _opened(request, sale_id, read(object_in(request), ComplaintInput))
    return _answer(request, sale_id)


@extend_schema(operation_id="disputes_retrieve", responses={200: DisputeOutput, **problems(409)})
@api_view(["GET"])
@permission_classes([WritePurchases])
def dispute(request: Request, dispute_id: str) -> Response:
    """Return a dispute to its parties."""
    return _answer(request, dispute_id)


@extend_schema(
    operation_id="disputes_answer",
    parameters=[PARAMETER, IF_MATCH],
    request=TextInput,
    responses={200: DisputeOutput},
)
@api_view(["POST"])
@permission_classes([WritePurchases])
@parser_classes([BoundedJSONParser])
@idempotent()
def answer(request: Request, dispute_id: str) -> Response:
    """Say as the seller, once, what you think of a dispute (`If-Match`)."""
    agent = acting_agent(request).id
    answer_dispute(
        queries.dispute_of(agent, dispute_id),
        agent=agent,
        text=read(object_in(request), TextInput)["text"],
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(request, dispute_id)


@extend_schema(
    operation_id="disputes_withdraw",
    parameters=[PARAMETER, IF_MATCH],
    request=None,
    responses={200: DisputeOutput},
)
@api_view(["POST"])
@permission_classes([WritePurchases])
@idempotent()
def withdraw(request: Request, dispute_id: str) -> Response:
    """Take a dispute back as the buyer, who may open another one while there is time (`If-Match`)."""
    agent = acting_agent(request).id
    withdraw_dispute(
        queries.dispute_of(agent, dispute_id),
        agent=agent,
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(request, dispute_id)


def _opened(request: Request, sale_id: str, complaint: dict[str, str]) -> Response:
    agent = acting_agent(request).id
    open_dispute(
        sale_of_party(sale_id, [agent]),
        agent=agent,
        kind=DisputeKind(complaint["kind"]),
        text=complaint["text"],
        at=timezone.now(),
        metadata=metadata_of(request),
    )
    response = _answer(request, sale_id, status=201)
    response["Location"] = f"/api/disputes/{sale_id}"
    return response


def _answer(request: Request, dispute_id: str, *, status: int = 200) -> Response:
    agent = acting_agent(request).id
    row = queries.dispute_of(agent, dispute_id)
    document = dispute_document(row, queries.written_in([row]), as_seller=row.seller == agent)
    return private(versioned(Response(document, status=status), row.stream_version))
