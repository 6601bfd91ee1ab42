"""REST for reviews: one for each purchase, by its buyer; the seller answers once, a curator can remove it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import ANYBODY, PROBLEM, example, problems
from latentmas.rest.parameters import StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import AdministerMarketplace, ScopePermission, WriteReviews
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.api import metadata_of
from marketplace.agents.queries import acting_agent
from marketplace.reputation import queries
from marketplace.reputation import review_commands as commands
from marketplace.reputation.credit import BEST, WORST
from marketplace.reputation.models import MAX_AGENT, Review
from marketplace.reputation.outputs import RemovedOutput, ReviewOutput, ReviewsOutput, review_document
from marketplace.reputation.review_aggregate import TEXT_CHARACTERS
from marketplace.sales.models import KINDS, MAX_ID
from marketplace.texts.checks import REASON_CHARACTERS

MAX_LIMIT, DEFAULT_LIMIT = 100, 25
EXAMPLE = {"rating": 5, "text": "My model answered from it as if it had read the minutes itself."}


class ReadOrWriteReviews(ScopePermission):
    """Everybody may read; a change asks for `reviews:write`."""

    scope = WriteReviews.scope

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS or super().has_permission(request, view)


class ReviewChangeInput(StrictSerializer):
    rating = serializers.IntegerField(min_value=WORST, max_value=BEST)
    text = serializers.CharField(max_length=TEXT_CHARACTERS)


class ReviewInput(ReviewChangeInput):
    purchase = serializers.CharField(max_length=MAX_ID, help_text="The id of your purchase.")


class AnswerInput(StrictSerializer):
    text = serializers.CharField(max_length=TEXT_CHARACTERS)


class RemovalInput(StrictSerializer):
    reason = serializers.CharField(max_length=REASON_CHARACTERS)


class ReviewsInput(StrictSerializer):
    seller = serializers.CharField(required=False, max_length=MAX_AGENT)
    item = serializers.CharField(required=False, max_length=100)
    kind = serializers.ChoiceField(KINDS, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False)


@extend_schema(
    methods=["GET"],
    operation_id="reviews_list",
    auth=ANYBODY,
    parameters=[ReviewsInput],
    responses={200: ReviewsOutput, **PROBLEM},
)
@extend_schema(
    methods=["POST"],
    operation_id="reviews_create",
    parameters=[PARAMETER],
    request=ReviewInput,
    examples=example({"purchase": "7d0c2a4e-0000-4000-8000-000000000001", **EXAMPLE}),
    responses={201: ReviewOutput, **problems(404, 410)},
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrWriteReviews])
@parser_classes([BoundedJSONParser])
@idempotent()
def reviews(request: Request) -> Response:
    """List reviews, newest first, or review a purchase of your agent's; that makes the purchase public."""
    if request.method == "POST":
        wanted = read(object_in(request), ReviewInput)
        sale = wanted.pop("purchase")
        commands.write_review(sale, agent=acting_agent(request).id, metadata=metadata_of(request), **wanted)
        response = _answer(queries.get_review(sale), status=201)
        response["Location"] = f"/api/reviews/{sale}"
        return response
    asked = read_query(request, ReviewsInput)
    found = queries.reviews(seller=asked.get("seller"), item=asked.get("item"), kind=asked.get("kind"))
    page = page_of(found, order=queries.NEWEST, limit=asked["limit"], cursor=asked.get("cursor"))
    counted = queries.counted_among(page.rows)
    return Response(page_document(request, page, lambda row: review_document(row, counts=row.id in counted)))


@extend_schema(
    methods=["GET"], operation_id="reviews_retrieve", auth=ANYBODY, responses={200: ReviewOutput, **problems(404, 410)}
)
@extend_schema(
    methods=["PUT"],
    operation_id="reviews_change",
    parameters=[IF_MATCH],
    request=ReviewChangeInput,
    responses={200: ReviewOutput, **problems(410)},
)
@api_view(["GET", "PUT"])
@permission_classes([ReadOrWriteReviews])
@parser_classes([BoundedJSONParser])
def review(request: Request, review_id: str) -> Response:
    """Return a review, or change your own, once (`If-Match`)."""
    if request.method == "PUT":
        seen, wanted = expected_version(request), read(object_in(request), ReviewChangeInput)
        commands.change_review(
            queries.get_review(review_id).id,
            agent=acting_agent(request).id,
            metadata=metadata_of(request),
            expected=seen,
            **wanted,
        )
    return _answer(queries.get_review(review_id))


@extend_schema(
    operation_id="reviews_answer",
    parameters=[PARAMETER, IF_MATCH],
    request=AnswerInput,
    responses={201: ReviewOutput, **problems(410)},
)
@api_view(["POST"])
@permission_classes([WriteReviews])
@parser_classes([BoundedJSONParser])
@idempotent()
def answer(request: Request, review_id: str) -> Response:
    """Answer a review of what your agent has sold, once (`If-Match`)."""
    commands.answer_review(
        queries.get_review(review_id).id,
        agent=acting_agent(request).id,
        text=read(object_in(request), AnswerInput)["text"],
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(queries.get_review(review_id), status=201)


@extend_schema(
    operation_id="reviews_remove",
    parameters=[PARAMETER, IF_MATCH],
    request=RemovalInput,
    responses={200: RemovedOutput, **problems(410)},
)
@api_view(["POST"])
@permission_classes([AdministerMarketplace])
@parser_classes([BoundedJSONParser])
@idempotent()
def removal(request: Request, review_id: str) -> Response:
    """Remove a review for good, as a curator: it is neither shown nor counted any more (`If-Match`)."""
    commands.remove_review(
        queries.get_review(review_id).id,
        reason=read(object_in(request), RemovalInput)["reason"],
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    row = Review.objects.get(id=review_id)
    document = {"id": row.id, "removed_at": row.removed_at, "reason": row.removed_reason}
    return versioned(Response(document | {"stream_version": row.stream_version}), row.stream_version)


def _answer(row: Review, *, status: int = 200) -> Response:
    document = review_document(row, counts=bool(queries.counted_among([row])))
    return versioned(Response(document, status=status), row.stream_version)
