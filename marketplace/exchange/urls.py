"""REST addresses of the exchange, below /api/."""

from django.urls import path

from marketplace.exchange import kv_cache_api, vectors_api

urlpatterns = [
    path("latentmas/kv-cache/align", kv_cache_api.align_kv_cache, name="kv-cache-align"),
    path("latentmas/vectors/align", vectors_api.align_vectors, name="vectors-align"),
]
