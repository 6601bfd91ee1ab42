"""REST addresses of prices, below /api/."""

from django.urls import path

from marketplace.pricing import api

urlpatterns = [path("pricing", api.pricing, name="pricing")]
