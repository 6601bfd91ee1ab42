"""REST for payouts: ask for one, look at one's own, and take a request back."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.types import Metadata
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.money import Money
from latentmas.rest.answers import private
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import example, problems
from latentmas.rest.parameters import object_in, read, read_query
from latentmas.rest.permissions import ReadOrWrite, ReadWallets, WritePayouts, requester
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.payments import queries
from marketplace.payments.inputs import PageInput, PayoutInput, PayoutOutput, PayoutsOutput, shown_payout
from marketplace.payments.models import Payout
from marketplace.payments.payout_commands import cancel_payout, request_payout

ORDER = ("requested_at", "id")


class ReadOrPayOut(ReadOrWrite):
    reading, writing = ReadWallets, WritePayouts


@extend_schema(
    methods=["GET"],
    operation_id="payouts_list",
    parameters=[PageInput],
    responses={200: PayoutsOutput, **problems(409)},
)
@extend_schema(
    methods=["POST"],
    operation_id="payouts_create",
    parameters=[PARAMETER],
    request=PayoutInput,
    examples=example({"amount": 100, "currency": "USD", "destination": "DE02 1203 0000 0000 2020 51"}),
    responses={201: PayoutOutput, **problems(402)},
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrPayOut])
@parser_classes([BoundedJSONParser])
@idempotent()
def payouts(request: Request) -> Response:
    """List the acting agent's payouts, the oldest first, or ask for one, which sets its amount aside."""
    agent = acting_agent(request)
    if request.method == "GET":
        wanted = read_query(request, PageInput)
        page = page_of(queries.payouts_of(agent.id), order=ORDER, limit=wanted["limit"], cursor=wanted.get("cursor"))
        sent_to = queries.destinations_of(page.rows)
        document = page_document(request, page, lambda row: shown_payout(row, sent_to[row.id]))
        return private(Response(document))
    wanted = read(object_in(request), PayoutInput)
    payout_id = request_payout(
        agent,
        Money(wanted["amount"], wanted["currency"]),
        destination=wanted["destination"],
        metadata=Metadata(actor=requester(request)),
    )
    response = _answer(queries.get_payout(agent.id, payout_id), status=201)
    response["Location"] = f"/api/payouts/{payout_id}"
    return response


@extend_schema(methods=["GET"], operation_id="payouts_retrieve", responses={200: PayoutOutput, **problems(409)})
@extend_schema(
    methods=["DELETE"],
    operation_id="payouts_cancel",
    parameters=[IF_MATCH],
    request=None,
    responses={200: PayoutOutput},
)
@api_view(["GET", "DELETE"])
@permission_classes([ReadOrPayOut])
def payout(request: Request, payout_id: str) -> Response:
    """Return one of the acting agent's payouts, or cancel one that no curator has approved (`If-Match`)."""
    agent = acting_agent(request)
    row = queries.get_payout(agent.id, payout_id)
    if request.method == "DELETE":
        cancel_payout(row, metadata=Metadata(actor=requester(request)), expected=expected_version(request))
        row.refresh_from_db()
    return _answer(row)


def _answer(row: Payout, *, status: int = 200) -> Response:
    document = shown_payout(row, queries.destinations_of([row])[row.id])
    return private(versioned(Response(document, status=status), row.stream_version))
