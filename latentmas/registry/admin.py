"""The registry in the admin: every change goes through a command and shows in the model's timeline."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from latentmas.registry import admin_pages
from latentmas.registry.commands import activate_model, deactivate_model
from latentmas.registry.models import RegisteredModel


@admin.register(RegisteredModel)
class RegisteredModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "name",
        "family",
        "openness",
        "popularity",
        "threshold",
        "active",
        "kv_width",
    )
    list_filter = ("active", "open_weights", "price_tier", "attention_type", "has_kv_cache", "family")
    search_fields = ("search_text", "family")
    search_help_text = "A name, hub id, alias or family, or a part of one."
    actions = ("activate", "deactivate")
    list_per_page = 100

    @admin.display(description="openness", ordering="open_weights")
    def openness(self, model: RegisteredModel) -> str:
        return "open" if model.open_weights else "closed"

    @admin.display(ordering="attention_threshold")
    def threshold(self, model: RegisteredModel) -> float:
        return model.attention_threshold

    def has_delete_permission(self, request: HttpRequest, obj: RegisteredModel | None = None) -> bool:
        """Models are deactivated, never deleted: W-Matrices and certificates name them."""
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return admin_pages.register(self, request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        model = self.get_object(request, object_id)
        if not self.has_view_or_change_permission(request, model):
            raise PermissionDenied
        if model is None:
            messages.warning(request, f"There is no model {object_id!r}; it does not exist in the registry.")
            return HttpResponseRedirect(reverse("admin:registry_registeredmodel_changelist"))
        if request.method == "POST" and not self.has_change_permission(request, model):
            raise PermissionDenied
        return admin_pages.correct(self, request, model)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The model's events are its history."""
        return HttpResponseRedirect(reverse("admin:registry_registeredmodel_change", args=[object_id]) + "#timeline")

    @admin.action(description="Activate the chosen models", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> HttpResponse | None:
        return admin_pages.switch(self, request, queryset, command=activate_model, verb="activate")

    @admin.action(description="Deactivate the chosen models", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> HttpResponse | None:
        return admin_pages.switch(self, request, queryset, command=deactivate_model, verb="deactivate")
