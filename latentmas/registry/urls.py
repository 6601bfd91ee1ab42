"""REST addresses of the registry, below /api/. Hub ids hold slashes, hence `path`."""

from django.urls import path

from latentmas.registry import api

urlpatterns = [
    path("models", api.ModelList.as_view(), name="models"),
    path("models/<path:name>/compatible", api.CompatibleModels.as_view(), name="compatible-models"),
    path("models/<path:name>", api.ModelDetail.as_view(), name="model"),
]
