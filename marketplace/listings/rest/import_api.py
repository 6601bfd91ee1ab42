"""REST for importing: the card of a W-Matrix in another registry, and its file, become a listing of one's own."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, once
from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import NothingInput, StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import PublishWMatrices
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.foreign.cards import checked_card, keys_of
from marketplace.listings.foreign.importing import import_card
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.rest import outputs
from marketplace.listings.rest.lifecycle_api import answer, metadata_of
from marketplace.listings.rest.selling_api import checked_signature, end_used, uploaded
from marketplace.listings.rest.selling_inputs import PriceField, TagsField
from marketplace.listings.validation import STATEMENT_CHARACTERS
from marketplace.texts.checks import DESCRIPTION_CHARACTERS, TITLE_CHARACTERS

CHANGES = ("title", "description", "price", "tags", "seller_statement")


class ImportInput(StrictSerializer):
    """A card and its file; what is left out of the rest is as the card says."""

    card = serializers.DictField(help_text="A `Card` of `/api/feed/schema`, as a registry serves a version's manifest.")
    upload = serializers.CharField(max_length=32, help_text="Id of a finished upload of the card's file.")
    public_key = serializers.CharField(
        max_length=60,
        required=False,
        help_text="Of that registry's certificates, in base64, as its `/api/log/keys` has it: the certificate in the "
        "card must then be signed by it.",
    )
    title = serializers.CharField(max_length=TITLE_CHARACTERS, required=False, help_text="By default the two models.")
    description = serializers.CharField(max_length=DESCRIPTION_CHARACTERS, required=False)
    price = PriceField(required=False, help_text="Minor units.")
    tags = TagsField(required=False)
    seller_statement = serializers.CharField(max_length=STATEMENT_CHARACTERS, required=False)
    access = serializers.ChoiceField([each.value for each in Access], default=Access.PUBLIC.value)
    signature = serializers.CharField(
        max_length=200, required=False, help_text="<key id>:<base64>, by a key of the agent (docs/access.md)."
    )


@extend_schema(
    operation_id="w_matrices_import",
    parameters=[PARAMETER],
    request={"application/json": ImportInput},
    responses={201: outputs.ListingOutput} | problems(404, 410),
)
@api_view(["POST"])
@permission_classes([PublishWMatrices])
@parser_classes([BoundedJSONParser])
def import_w_matrix(request: Request) -> HttpResponseBase:
    """List a W-Matrix of another registry by its card, as your agent; its figures become declared.

    A card of a listing that was imported before makes another version of that one.
    """
    agent = acting_agent(request).id
    read_query(request, NothingInput)
    wanted = read(object_in(request), ImportInput)

    def work() -> Response:
        keys = keys_of([wanted["public_key"]] if "public_key" in wanted else [])
        came, file = checked_card(wanted["card"], keys=keys), uploaded(wanted, agent)
        changes: dict[str, Any] = {name: wanted[name] for name in CHANGES if name in wanted}
        listing_id = import_card(
            came,
            file,
            signature=checked_signature(wanted, agent, file),
            by=By(agent, metadata_of(request)),
            access=Access(wanted["access"]),
            **changes,
        )
        end_used(wanted, agent)
        made = answer(listing_id, status=201)
        made["Location"] = f"/api/w-matrices/{listing_id}"
        return made

    return once(request, work)
