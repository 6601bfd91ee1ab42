"""The price configuration in the admin: its versions, and a form that makes the next one."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.types import Metadata
from latentmas.rest.scopes import MARKETPLACE_ADMIN, RESTRICTED
from marketplace.pricing.commands import configure, in_force
from marketplace.pricing.configuration import BOUNDS, SETTINGS
from marketplace.pricing.models import ConfigurationVersion


class ConfigurationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Every setting, with the value in force; it saves nothing itself."""

    class Meta:
        model = ConfigurationVersion
        fields: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = asdict(in_force().configuration)
        for name in SETTINGS:
            low, high = BOUNDS[name]
            self.fields[name] = forms.IntegerField(min_value=low, max_value=high, initial=now[name])


@admin.register(ConfigurationVersion)
class ConfigurationVersionAdmin(ReadOnlyAdmin):
    list_display = ("version", "settings", "actor", "at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESTRICTED[MARKETPLACE_ADMIN])

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return ConfigurationForm if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return SETTINGS if obj is None else super().get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Record what the form says; the row is made by the projector."""
        wanted = {name: form.cleaned_data[name] for name in SETTINGS}
        recorded = configure(wanted, metadata=Metadata(actor=f"user:{request.user.pk}"))
        obj.version = recorded[0].version if recorded else in_force().version

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave Django's own journal alone: the event says who did it."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, f"Version {obj.version} is in force.")
        return redirect("admin:pricing_configurationversion_changelist")
