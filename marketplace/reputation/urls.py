"""REST addresses of reputation, below /api/."""

from django.urls import path

from marketplace.reputation import api, reviews_api

urlpatterns = [
    path("agents/<str:agent_id>/credit", api.credit, name="agent-credit"),
    path("bonuses", api.bonuses, name="bonuses"),
    path("reviews", reviews_api.reviews, name="reviews"),
    path("reviews/<str:review_id>", reviews_api.review, name="review"),
    path("reviews/<str:review_id>/answer", reviews_api.answer, name="review-answer"),
    path("reviews/<str:review_id>/removal", reviews_api.removal, name="review-removal"),
]
