"""REST addresses of KV-cache compression, below /api/. Hub ids hold slashes, hence `path`."""

from django.urls import path

from kvcache.server import computing_api, reading_api, streams_api

urlpatterns = [
    path("kv-cache/compress", computing_api.compress, name="kv-cache-compress"),
    path("kv-cache/decompress", computing_api.decompress, name="kv-cache-decompress"),
    path("kv-cache/validate-quality", computing_api.validate_quality, name="kv-cache-validate-quality"),
    path("kv-cache/benchmark", computing_api.benchmark, name="kv-cache-benchmark"),
    path("kv-cache/estimate-savings", reading_api.estimate_savings, name="kv-cache-estimate-savings"),
    path("kv-cache/statistics", reading_api.totals, name="kv-cache-statistics"),
    path("kv-cache/profiles", reading_api.profiles, name="kv-cache-profiles"),
    path("kv-cache/profiles/<str:digest>", reading_api.profile, name="kv-cache-profile"),
    path("kv-cache/models", reading_api.models, name="kv-cache-models"),
    path("kv-cache/models/<path:name>", reading_api.model, name="kv-cache-model"),
    path("kv-cache/streams", streams_api.streams_view, name="kv-cache-streams"),
    path("kv-cache/streams/<str:stream_id>/chunks/<int:number>", streams_api.chunk, name="kv-cache-chunk"),
    path("kv-cache/streams/<str:stream_id>/finish", streams_api.finish, name="kv-cache-finish"),
]
