"""REST addresses of the sealed log, below /api/. C2SP clients take /api/log as the log's prefix."""

from django.urls import path

from latentmas.transparency import api

urlpatterns = [
    path("log/checkpoint", api.checkpoint, name="log-checkpoint"),
    path("log/tile/entries/<path:index>", api.entries, name="log-entries"),
    path("log/tile/<int:level>/<path:index>", api.tile, name="log-tile"),
    path("log/proof", api.proof, name="log-proof"),
    path("log/consistency", api.consistency, name="log-consistency"),
    path("log/keys", api.keys, name="log-keys"),
    path("log/cosignatures", api.cosignatures, name="log-cosignatures"),
]
