"""Stored memories in the admin: curators see sizes and can delete, but cannot read a memory's contents."""

from django.contrib import admin

from latentmas.admin_pages import UneditableAdmin
from marketplace.memories.models import StoredMemory


@admin.register(StoredMemory)
class StoredMemoryAdmin(UneditableAdmin):
    list_display = ("id", "owner", "kind", "model", "tokens", "size", "created_at")
    list_filter = ("kind", "model")
    list_select_related = ("owner",)
    search_fields = ("id", "owner__username", "digest")
