"""REST addresses of certification, below /api/."""

from django.urls import path

from marketplace.certification import api

urlpatterns = [
    path("w-matrices/<str:listing_id>/versions/<str:version>/recertify", api.recertify, name="w-matrix-recertify"),
    path("private-cells", api.rotations, name="private-cells"),
    path("private-cells/<int:number>/file", api.rotation_file, name="private-cells-file"),
]
