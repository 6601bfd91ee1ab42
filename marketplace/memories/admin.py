"""Stored memories in the admin: curators see sizes and can delete, but cannot read a memory's contents."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from marketplace.memories.models import StoredMemory


@admin.register(StoredMemory)
class StoredMemoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "owner", "kind", "model", "tokens", "size", "created_at")
    list_filter = ("kind", "model")
    list_select_related = ("owner",)
    search_fields = ("id", "owner__username", "digest")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
