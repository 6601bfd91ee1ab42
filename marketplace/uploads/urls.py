"""REST addresses of uploads, below /api/."""

from django.urls import path

from marketplace.uploads import api

urlpatterns = [
    path("uploads", api.uploads, name="uploads"),
    path("uploads/<str:upload_id>", api.upload, name="upload"),
]
