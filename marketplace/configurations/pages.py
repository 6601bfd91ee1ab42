"""A configuration in the admin: its versions, and a form that makes the next one."""

from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.scopes import MARKETPLACE_ADMIN, RESTRICTED
from marketplace.configurations.configurable import Configurable


class ConfigurationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """Every setting, with the value in force; `clean` records the next version, so that a refusal is shown here."""

    configurable: ClassVar[Configurable[Any]]
    actor = ""  # set by the page

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, now in self.configurable.values().items():
            low, high = self.configurable.bounds[name]
            self.fields[name] = forms.IntegerField(min_value=low, max_value=high, initial=now)

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if not self.errors:
            try:
                self.configurable.configure(typed, metadata=Metadata(actor=self.actor))
            except InvalidInput as error:
                field = error.facts.get("field")
                self.add_error(str(field) if field in self.fields else NON_FIELD_ERRORS, error.message)
        return typed

    def _post_clean(self) -> None:
        """Leave the row to its projector."""


class ConfigurationAdmin(ReadOnlyAdmin):
    """The versions of one configuration; a curator adds the next."""

    configurable: ClassVar[Configurable[Any]]
    list_display = ("version", "settings", "actor", "at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESTRICTED[MARKETPLACE_ADMIN])

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        meta = type("Meta", (), {"model": self.model, "fields": ()})
        said = {"configurable": self.configurable, "actor": f"user:{request.user.pk}", "Meta": meta}
        return type("NextVersionForm", (ConfigurationForm,), said)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.configurable.settings if obj is None else super().get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has recorded it already."""
        obj.version = self.configurable.in_force().version

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave Django's own journal alone: the event says who did it."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, f"Version {obj.version} is in force.")
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
