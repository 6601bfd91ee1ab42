"""The REST address of vector alignment, below /api/."""

from django.urls import path

from marketplace.vectors import api

urlpatterns = [
    path("latentmas/vectors/align", api.align_vectors, name="vectors-align"),
]
