"""REST addresses of reports, below /api/."""

from django.urls import path

from marketplace.curation import api

urlpatterns = [path("w-matrices/<str:listing_id>/reports", api.reports, name="w-matrix-reports")]
