"""REST addresses of the exchange, below /api/."""

from django.urls import path

from marketplace.exchange import api

urlpatterns = [
    path("latentmas/kv-cache/align", api.align_kv_cache, name="kv-cache-align"),
]
