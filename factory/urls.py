"""REST addresses of the factory, below /api/."""

from django.urls import path

from factory import api
from factory.packs import api as packs

urlpatterns = [
    path("latentmas/w-matrix/generate", api.generate, name="w-matrix-generate"),
    path("calibration-packs", packs.packs, name="calibration-packs"),
    path("calibration-packs/<str:digest>", packs.pack, name="calibration-pack"),
    path("calibration-packs/<str:digest>/file", packs.file, name="calibration-pack-file"),
]
