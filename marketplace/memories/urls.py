"""REST addresses of stored memories, below /api/."""

from django.urls import path

from marketplace.memories import api

urlpatterns = [
    path("stored-memories", api.memories, name="memories"),
    path("stored-memories/<str:memory_id>", api.memory, name="memory"),
    path("stored-memories/<str:memory_id>/file", api.file, name="memory-file"),
]
